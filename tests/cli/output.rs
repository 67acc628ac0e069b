//! What stands on stdout: JSON lines, text, the order of both.

use super::harness::{cb_lab, file_of, generate, generate_lines, generating, run, trials};

trials!(
    fields_of_a_json_line,
    ids,
    ids_as_they_were_written,
    numbers_are_places,
    order_is_that_of_the_input,
    text_of_one_prompt,
    text_of_several_prompts,
    built_in
);

fn fields_of_a_json_line() {
    let run = generate_lines(&["--max-new-tokens", "5"], &[r#"{"prompt":"Once upon"}"#]).finished();
    let keys = ["id", "prompt_token_ids", "token_ids", "logprobs", "text", "finish_reason", "num_cached_tokens"];
    let [line] = &run.json_lines()[..] else { panic!("one line") };
    assert_eq!(line.as_object().unwrap().len(), keys.len());
    let places: Vec<_> = keys.iter().map(|key| run.stdout.find(&format!("\"{key}\":")).expect(key)).collect();
    assert!(places.is_sorted(), "the fields come in the documented order: {}", run.stdout);
    assert_eq!(line["token_ids"].as_array().unwrap().len(), 5);
    assert_eq!(line["finish_reason"], "length");
    assert_eq!(line["num_cached_tokens"], 0);
    for logprob in line["logprobs"].as_array().unwrap() {
        assert!(logprob.as_f64().unwrap() <= 0.0, "natural log-probabilities: {logprob}");
    }
}

fn ids() {
    let lines = [r#"{"id":"a","prompt":"x"}"#, r#"{"prompt":"x"}"#, r#"{"id":[7,{"k":null}],"prompt":"x"}"#];
    let run = generate_lines(&["before", "--max-new-tokens", "1"], &lines).finished();
    let ids: Vec<String> = run.json_lines().iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(
        ids,
        ["0", "\"a\"", "2", r#"[7,{"k":null}]"#],
        "arguments first, then lines by place or by their own id"
    );
}

/// Also what no float holds.
fn ids_as_they_were_written() {
    let ids = ["12345678901234567890123", "1.0", "1e3", "-0", r#""\u00e9""#, r#"{"b": 1, "a": [2 ,3]}"#];
    let lines = ids.map(|id| format!(r#"{{"id": {id} ,"prompt":"x"}}"#));
    let run = generate_lines(&["--max-new-tokens", "1"], &lines.each_ref().map(String::as_str)).finished();
    for (line, id) in run.stdout.lines().zip(ids) {
        assert!(line.starts_with(&format!("{{\"id\":{id},\"prompt_token_ids\":")), "{line}");
    }
}

/// However a line fails, those after it keep their numbers; and a heading stays where there is only one left.
fn numbers_are_places() {
    let run_as = |format: &str, bad: &str| {
        let mut command = generating("cpu", &["before", "--max-new-tokens", "1", "--format", format, "--prompts", "-"]);
        command.stdin(file_of(format!("{bad}\n\n{{\"prompt\":\"after\"}}\n")));
        run(command).failed(1).stdout
    };
    for bad in ["{", r#"{"prompt":""}"#, r#"{"prompt":"hi","top_k":0}"#] {
        let text = run_as("text", bad);
        assert!(text.starts_with("[0] before") && text.contains("\n[3] after"), "{bad}: {text:?}");
        let lines = run_as("jsonl", bad);
        assert!(lines.starts_with("{\"id\":0,") && lines.contains("\n{\"id\":3,"), "{bad}: {lines}");
        let mut command = generating("cpu", &["--max-new-tokens", "1", "--prompts", "-"]);
        command.stdin(file_of(format!("{bad}\n{{\"prompt\":\"after\"}}\n")));
        let text = run(command).failed(1).stdout;
        assert!(text.starts_with("[1] after"), "{bad}: {text:?}");
    }
}

fn order_is_that_of_the_input() {
    let lines = [
        r#"{"id":"long","prompt":"a","max_new_tokens":12}"#,
        r#"{"id":"bad","prompt":""}"#,
        r#"{"id":"short","prompt":"b","max_new_tokens":1}"#,
        r#"{"id":"middle","prompt":"c","max_new_tokens":6}"#,
    ];
    let run = generate_lines(&[], &lines).failed(1).complains(&["line 2"]);
    let got: Vec<_> = run
        .json_lines()
        .iter()
        .map(|line| (line["id"].as_str().unwrap().to_string(), line["token_ids"].as_array().unwrap().len()))
        .collect();
    assert_eq!(got, [("long".into(), 12), ("short".into(), 1), ("middle".into(), 6)]);
}

fn text_of_one_prompt() {
    let json = generate(&["Once upon", "--max-new-tokens", "9", "--format", "jsonl"]).finished();
    let text = generate(&["Once upon", "--max-new-tokens", "9"]).finished().stdout;
    assert_eq!(text, json.texts()[0].clone() + "\n", "the text as it comes, and nothing else");
}

fn text_of_several_prompts() {
    let args = ["Once upon", "A", "--max-new-tokens", "9"];
    let texts = generate(&[&args[..], &["--format", "jsonl"]].concat()).finished().texts();
    let expected = format!("[0] Once upon{}\n\n[1] A{}\n\n", texts[0], texts[1]);
    assert_eq!(generate(&args).finished().stdout, expected);
}

fn built_in() {
    let args = ["generate", "--backend", "cpu", "--max-new-tokens", "2", "--ignore-eos", "--format", "jsonl"];
    let run = run(cb_lab(&args)).finished();
    assert_eq!(run.json_lines().len(), 8, "a few prompts, batched together");
    assert!(run.stderr.contains("8 requests, 16 tokens in "), "{}", run.stderr);
}
