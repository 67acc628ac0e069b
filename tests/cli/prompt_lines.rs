//! What a line of `--prompts` may say: kinds of prompt, and sampling fields that override the command line's.

use super::harness::{generate, generate_lines, trials};
use super::model_copy::{ModelCopy, fixture};
use cb_lab::model::ModelFolder;
use cb_lab::text::Tokenizer;
use serde_json::Value;

trials!(
    three_kinds_of_prompt,
    all_that_messages_say,
    a_plain_prompt_needs_no_template,
    the_first_space_stays,
    overrides,
    end_of_sequence,
    stop_texts,
    stop_tokens
);

fn three_kinds_of_prompt() {
    let lines = [
        r#"{"prompt":"hi"}"#,
        r#"{"prompt_token_ids":[71,72]}"#,
        r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"}]}"#,
    ];
    let results = generate_lines(&["--max-new-tokens", "4"], &lines).finished().json_lines();
    assert_eq!(results[0]["prompt_token_ids"], results[1]["prompt_token_ids"]);
    assert_eq!(results[0]["token_ids"], results[1]["token_ids"]);
    assert!(results[2]["prompt_token_ids"].as_array().unwrap().len() > 10, "the template is applied: {}", results[2]);
}

/// The template that a user has may print any key, and only one that reads parts itself gets a list.
fn all_that_messages_say() {
    let template = "{% for m in messages %}{{ m.content }}{{ m.reasoning_content }}{{ m.tool_call_id }}\
        {% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}";
    let model = ModelCopy::of("smollm2").edit("chat_template.jinja", |file| *file = template.into());
    let call = r#"{"type":"function","function":{"name":"f","arguments":{"town":"Ulm","a":1}}}"#;
    let lines = [
        format!(r#"{{"messages":[{{"role":"assistant","content":null,"tool_calls":[{call}]}}]}}"#),
        r#"{"messages":[{"role":"tool","content":"dry","tool_call_id":"c1","name":"sky"}]}"#.into(),
        r#"{"messages":[{"role":"assistant","content":"b","reasoning_content":"c"}]}"#.into(),
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"two "},{"type":"text","text":"parts"}]}]}"#
            .into(),
    ];
    let args = ["--max-new-tokens", "1", "--model", model.path()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let results = generate_lines(&args, &lines).finished().json_lines();
    // A template that prints what is null prints what Python calls it.
    let plain = [r#"None{"town": "Ulm", "a": 1}"#, "dryc1", "bc", "two parts"]
        .map(|text| serde_json::json!({"prompt": text}).to_string());
    let plain = generate_lines(&args, &plain.each_ref().map(String::as_str)).finished().json_lines();
    for (result, plain) in results.iter().zip(&plain) {
        assert_eq!(result["prompt_token_ids"], plain["prompt_token_ids"]);
    }
}

fn a_plain_prompt_needs_no_template() {
    let model = ModelCopy::of("smollm2").edit("chat_template.jinja", |template| *template = b"hi\xff".into());
    let lines = [r#"{"prompt":"hi"}"#, r#"{"messages":[{"role":"user","content":"hi"}]}"#];
    let run = generate_lines(&["--max-new-tokens", "1", "--model", model.path()], &lines).failed(1);
    assert_eq!(run.json_lines().len(), 1, "the plain prompt ran");
    run.complains(&["chat_template.jinja is not UTF-8 from byte 2 on"]);
}

/// A sentencepiece decoder drops the space of the first token that it sees, and an output's first token is not the text's.
fn the_first_space_stays() {
    let llama = fixture("llama");
    let tokenizer = Tokenizer::open(&ModelFolder::open(&llama).unwrap()).unwrap();
    // Drawn from the whole vocabulary, some answers begin with a word, and so with a space.
    let mut num_spaces = 0;
    for seed in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"] {
        let drawn =
            ["--temperature", "50", "--seed", seed, "--max-new-tokens", "24", "--model", llama.to_str().unwrap()];
        let result =
            generate(&[&["the old", "--format", "jsonl"], &drawn[..]].concat()).finished().json_lines().remove(0);
        let ids = |key: &str| -> Vec<u32> { serde_json::from_value(result[key].clone()).unwrap() };
        let (prompt_ids, output_ids) = (ids("prompt_token_ids"), ids("token_ids"));
        let whole = tokenizer.decode(&[&prompt_ids[..], &output_ids].concat()).unwrap();
        let expected = whole.strip_prefix(&tokenizer.decode(&prompt_ids).unwrap()).unwrap();
        assert_eq!(result["text"], expected);
        let streamed = generate(&[&["the old"], &drawn[..]].concat()).finished();
        assert!(streamed.stdout.contains(expected), "{:?} has no {expected:?}", streamed.stdout);
        num_spaces += usize::from(expected.starts_with(' '));
    }
    assert!(num_spaces > 0, "no output begins with a space");
}

/// Enough for different choices to show.
const SHORT: [&str; 2] = ["--max-new-tokens", "10"];

fn overrides() {
    let alone = |args: &[&str]| {
        let args = [&["Once upon", "--format", "jsonl"], &SHORT[..], args].concat();
        generate(&args).finished().json_lines().remove(0)["token_ids"].clone()
    };
    // The command line and the line that overrides it; what the command line alone would have to say.
    let cases: [(&[&str], &str, &[&str]); 5] = [
        (&["--temperature", "2"], r#""temperature":0"#, &[]),
        (&["--temperature", "2", "--seed", "1"], r#""seed":5"#, &["--temperature", "2", "--seed", "5"]),
        (&["--temperature", "2", "--top-k", "50"], r#""top_k":1"#, &[]),
        (&["--temperature", "2", "--top-p", "0.9"], r#""top_p":1e-6"#, &[]),
        (&["--temperature", "2"], r#""min_p":1"#, &[]),
    ];
    for (args, field, same) in cases {
        let line = format!(r#"{{"prompt":"Once upon",{field}}}"#);
        let plain = r#"{"prompt":"Once upon"}"#;
        let results = generate_lines(&[&SHORT[..], args].concat(), &[&line, plain]).finished().json_lines();
        assert_eq!(results[0]["token_ids"], alone(same), "{field}");
        assert_eq!(results[1]["token_ids"], alone(args), "{field} is this line's alone");
        assert_ne!(results[0]["token_ids"], results[1]["token_ids"], "{field} changes something");
    }
}

fn end_of_sequence() {
    let golden = std::fs::read(fixture("smollm2").join("golden.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let case = golden["cases"].as_array().unwrap().iter().find(|case| case["finish_reason"] == "stop").unwrap();
    let (prompt, len) = (&case["prompt_token_ids"], case["token_ids"].as_array().unwrap().len());
    let lines = ["", r#","ignore_eos":true"#, r#","ignore_eos":false"#];
    let lines = lines.map(|field| format!(r#"{{"prompt_token_ids":{prompt}{field}}}"#));
    let max_new_tokens = (len + 2).to_string();
    let ends = |args: &[&str]| -> Vec<(String, usize)> {
        let args = [&["--max-new-tokens", &max_new_tokens], args].concat();
        let results = generate_lines(&args, &lines.each_ref().map(String::as_str)).finished().json_lines();
        let end = |result: &Value| {
            (result["finish_reason"].as_str().unwrap().into(), result["token_ids"].as_array().unwrap().len())
        };
        results.iter().map(end).collect()
    };
    let (stops, goes_on) = (("stop".to_string(), len), ("length".to_string(), len + 2));
    assert_eq!(ends(&[]), [stops.clone(), goes_on.clone(), stops.clone()]);
    assert_eq!(ends(&["--ignore-eos"]), [goes_on.clone(), goes_on, stops]);
}

fn stop_texts() {
    let whole = generate(&["Once upon", "--format", "jsonl", "--max-new-tokens", "24"]).finished().texts().remove(0);
    let chars: Vec<char> = whole.chars().collect();
    let stop: String = chars[9..11].iter().collect();
    let expected = whole.split(&stop).next().unwrap();
    let json_stop = serde_json::to_string(&stop).unwrap();

    let args = ["Once upon", "--format", "jsonl", "--max-new-tokens", "24", "--stop", "never", "--stop", &stop];
    let by_option = generate(&args).finished().json_lines();
    let lines = [
        format!(r#"{{"prompt":"Once upon","stop":{json_stop}}}"#),
        format!(r#"{{"prompt":"Once upon","stop":["never",{json_stop}]}}"#),
        r#"{"prompt":"Once upon","stop":[]}"#.into(),
    ];
    let by_line = generate_lines(&["--max-new-tokens", "24", "--stop", "o"], &lines.each_ref().map(String::as_str))
        .finished()
        .json_lines();
    for result in [&by_option[0], &by_line[0], &by_line[1]] {
        assert_eq!(result["text"], expected);
        assert_eq!(result["finish_reason"], "stop");
    }
    assert_eq!(by_line[2]["text"], whole, "a line can take the stop texts away");
}

/// By id, and by the text of a special token, which is in no output. Both hold where the model's own are passed over.
fn stop_tokens() {
    let plain = r#"{"prompt":"Once upon"}"#;
    let args = ["--max-new-tokens", "12", "--ignore-eos"];
    let whole = generate_lines(&args, &[plain]).finished().json_lines().remove(0);
    let ids: Vec<u64> = whole["token_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let (stop, before) = (ids[5], ids.iter().position(|id| *id == ids[5]).unwrap());
    let check = |result: &Value| {
        assert_eq!(result["token_ids"].as_array().unwrap().len(), before, "{result}");
        assert_eq!(result["finish_reason"], "stop");
    };
    let ids = format!("3,{stop}");
    let by_option = [&args[..], &["--stop-token-ids", &ids]].concat();
    let by_line = format!(r#"{{"prompt":"Once upon","stop_token_ids":[{stop}]}}"#);
    let none = r#"{"prompt":"Once upon","stop_token_ids":[]}"#;
    let results = generate_lines(&by_option, &[plain, none]).finished().json_lines();
    check(&results[0]);
    assert_eq!(results[1]["token_ids"], whole["token_ids"], "a line can take them away");
    check(&generate_lines(&args, &[&by_line]).finished().json_lines()[0]);

    // The same token, made a special one of the tokenizer.
    let model = ModelCopy::of("smollm2").edit("tokenizer.json", |contents| {
        let mut json: Value = serde_json::from_slice(contents).expect("tokenizer.json is JSON");
        let vocab = json["model"]["vocab"].as_object().expect("a vocabulary");
        let text = vocab.iter().find(|(_, id)| **id == stop).expect("the token has a text").0.clone();
        let token = serde_json::json!({
            "id": stop, "content": text, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        });
        json["added_tokens"].as_array_mut().expect("added tokens").push(token);
        *contents = serde_json::to_vec(&json).expect("JSON can be written");
    });
    let json: Value =
        serde_json::from_slice(&std::fs::read(fixture("smollm2").join("tokenizer.json")).unwrap()).unwrap();
    let vocab = json["model"]["vocab"].as_object().unwrap();
    let text = vocab.iter().find(|(_, id)| **id == stop).unwrap().0;
    let prompt = &whole["prompt_token_ids"];
    let line = format!(r#"{{"prompt_token_ids":{prompt},"stop":{}}}"#, Value::from(text.as_str()));
    let args = [&args[..], &["--model", model.path()]].concat();
    check(&generate_lines(&args, &[&line]).finished().json_lines()[0]);
}
