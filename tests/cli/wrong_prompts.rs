//! Prompts that cannot work: each is named with its place and refused, the others still run, the exit code is 1.

use super::harness::{Run, cb_lab, file_of, generate, generate_lines, run, trials};
use super::model_copy::{ModelCopy, fixture};

trials!(
    lines_that_are_no_requests,
    values_of_other_types,
    ids_that_are_there_twice,
    a_text_without_tokens,
    requests_that_cannot_run,
    too_long,
    messages_without_a_template,
    messages_for_a_template_that_does_not_compile,
    unreadable_files,
    files_of_other_encodings,
    a_file_of_another_kind,
    no_prompts_at_all,
);

/// Runs each line between two good ones; each must bring its complaint, with its place, and nothing else.
#[track_caller]
fn check(args: &[&str], cases: &[(&str, &[&str])]) {
    // No more in a run than are told one by one.
    for cases in cases.chunks(20) {
        check_run(args, cases);
    }
}

#[track_caller]
fn check_run(args: &[&str], cases: &[(&str, &[&str])]) {
    let mut lines = vec![r#"{"id":"first","prompt":"a"}"#];
    lines.extend(cases.iter().map(|(line, _)| *line));
    lines.push(r#"{"id":"last","prompt":"b"}"#);
    let run = generate_lines(&[args, &["--max-new-tokens", "3"]].concat(), &lines).failed(1);
    let ids: Vec<_> = run.json_lines().iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids, ["first", "last"]);
    for ((line, parts), number) in cases.iter().zip(2..) {
        let error = error_at(&run, &format!("error: stdin, line {number}: "));
        for part in *parts {
            assert!(error.contains(part), "{line}: {error:?} does not say {part:?}");
        }
    }
    assert_eq!(run.stderr.matches("error: ").count(), cases.len(), "{}", run.stderr);
}

#[track_caller]
fn error_at<'a>(run: &'a Run, place: &str) -> &'a str {
    let error = run.stderr.lines().find(|line| line.starts_with(place));
    error.unwrap_or_else(|| panic!("nothing begins with {place:?}: {}", run.stderr))
}

fn lines_that_are_no_requests() {
    let one = "give exactly one of prompt, prompt_token_ids, messages";
    let object = r#"a line is an object, such as {"prompt": "#;
    check(
        &[],
        &[
            (r#"{"prompt":"hi""#, &["column 14", "EOF"]),
            (r#"{"prompt":"hi","temperatur":1}"#, &["there is no field temperatur: is it temperature?"]),
            (r#"{"prompt":"hi","best_of":1}"#, &["there is no field best_of: fields are prompt, prompt_token_ids, "]),
            (r#"{"prompt":"hi","prompt_token_ids":[1]}"#, &[one]),
            (r#"{"prompt":"hi","messages":[{"role":"user","content":"hi"}]}"#, &[one]),
            ("{}", &[one]),
            ("hi", &[object]),
            ("\"hi\"", &[object]),
            // serde would take a list of all fields in order.
            (r#"[null,"hi",null,null,null,null,null,null,null,null,null,null]"#, &[object]),
            (r#"{"prompt":7}"#, &["prompt is 7: use a text"]),
            (r#"{"prompt_token_ids":[7,-1]}"#, &["prompt_token_ids[1] is -1: a token id is a whole number from 0"]),
            (r#"{"prompt_token_ids":[4294967296]}"#, &["prompt_token_ids[0] is 4294967296: "]),
            (r#"{"prompt_token_ids":"1"}"#, &["prompt_token_ids is \"1\": use a list of token ids"]),
            (
                r#"{"messages":"hi"}"#,
                &["messages is \"hi\": use a list of messages", r#"{"role": "user", "content": "Hi"}"#],
            ),
            (r#"{"messages":[{"role":"user"}]}"#, &["a message has a role and nothing else: give it content"]),
            (r#"{"messages":["hi"]}"#, &["a message is an object", r#"{"role": "user", "content": "Hi"}"#]),
            (r#"{"messages":[{"content":"hi"}]}"#, &["a message has no role"]),
            (r#"{"messages":[{"role":"user","contnet":"hi"}]}"#, &["the key contnet", "role, content,"]),
            (
                r#"{"messages":[{"role":"user","content":7}]}"#,
                &["the content of a message is number", "a text or a list"],
            ),
            (r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, &["of type image_url", "text only"]),
            (r#"{"prompt":"hi","temperature":NaN}"#, &["column 30"]),
            (r#"{"prompt":"hi","stop":3}"#, &["stop is 3: use a text or a list of texts"]),
            (r#"{"prompt":"hi","prompt":"ho"}"#, &["prompt is there twice"]),
        ],
    );
}

/// Each names the field, what was written, and what may be written.
fn values_of_other_types() {
    let count = "use a whole number from 1";
    let cases = [
        ("max_new_tokens", "-1", count),
        ("top_k", "-1", count),
        ("top_k", "1.5", count),
        ("seed", "-1", "use a whole number from 0"),
        ("seed", "\"7\"", "use a whole number from 0, without quotes"),
        ("temperature", "\"0.7\"", "use 0 for greedy or a positive number, without quotes"),
        ("temperature", "\"hot\"", "use 0 for greedy or a positive number"),
        ("top_p", "[1]", "use a number"),
        ("min_p", "{}", "use a number"),
        ("ignore_eos", "\"true\"", "use true or false, without quotes"),
        ("stop_token_ids", "2", "use a list of token ids"),
        ("stop_token_ids", "[-2]", "a token id is a whole number from 0"),
    ];
    let lines = cases.map(|(field, value, _)| format!(r#"{{"prompt":"hi","{field}":{value}}}"#));
    let says = cases.map(|(field, value, allowed)| {
        let value = value.trim_start_matches('[').trim_end_matches(']');
        let place = if allowed.starts_with("a token") { "[0]" } else { "" };
        let value = if field == "top_p" { "[1]" } else { value };
        format!("{field}{place} is {value}: {allowed}")
    });
    let says: Vec<[&str; 1]> = says.iter().map(|part| [&part[..]]).collect();
    let cases: Vec<(&str, &[&str])> = lines.iter().zip(&says).map(|(line, part)| (&line[..], &part[..])).collect();
    check(&[], &cases);
    // All faults of a line at once, in one sentence each.
    let line = r#"{"prompt":"hi","top_k":-1,"seed":-1,"temperature":"0.7","top_p":3,"topp":1}"#;
    let all = ["there is no field topp: is it top_p?", "top_k is -1", "seed is -1", "temperature is", "; top_p is 3: "];
    check(&[], &[(line, &all)]);
}

fn ids_that_are_there_twice() {
    let big = ["12300000000000000000001", "12300000000000000000002", "12300000000000000000001"];
    let mut lines = vec![r#"{"id":"a","prompt":"a"}"#.to_string(), r#"{"id":"\u0061","prompt":"b"}"#.into()];
    lines.extend(big.map(|id| format!(r#"{{"id":{id},"prompt":"a"}}"#)));
    lines.extend([r#"{"id":7,"prompt":"a"}"#.into(), r#"{"prompt":"a"}"#.into(), r#"{"prompt":"a"}"#.into()]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let run = generate_lines(&["--max-new-tokens", "1"], &lines).failed(1);
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    let expected = [
        "error: stdin, line 2: id \"a\" is that of line 1, too: give each its own",
        "error: stdin, line 5: id 12300000000000000000001 is that of line 3, too: give each its own",
        "error: stdin, line 8: id 7 is that of line 6, too: give each its own",
    ];
    assert_eq!(errors, expected);
    let ids: Vec<&str> =
        run.stdout.lines().filter_map(|line| line.strip_prefix("{\"id\":")?.split(',').next()).collect();
    assert_eq!(ids, ["\"a\"", big[0], big[1], "7", "6"]);
    let run = generate_lines(&["an argument", "--max-new-tokens", "1"], &[r#"{"id":0,"prompt":"a"}"#]).failed(1);
    run.complains(&["stdin, line 1: id 0 is that of prompt 0, too"]);
}

/// A vocabulary without a token for anything in the text.
fn a_text_without_tokens() {
    let model = ModelCopy::of("smollm2").edit("tokenizer.json", |contents| {
        let mut json: serde_json::Value = serde_json::from_slice(contents).expect("tokenizer.json is JSON");
        let nothing = serde_json::json!({"type": "Replace", "pattern": {"String": "x"}, "content": ""});
        json["normalizer"] = nothing;
        *contents = serde_json::to_vec(&json).expect("JSON can be written");
    });
    check(&["--model", model.path()], &[(r#"{"prompt":"xxx"}"#, &["nothing in the prompt has a token"])]);
}

fn requests_that_cannot_run() {
    check(
        &[],
        &[
            (r#"{"prompt":""}"#, &["the prompt is empty", "at least one character"]),
            (r#"{"prompt_token_ids":[]}"#, &["the prompt is empty", "at least one token"]),
            (r#"{"messages":[]}"#, &["messages is empty", "at least one message"]),
            (r#"{"prompt_token_ids":[1,400]}"#, &["token id 400 is out of range", "400 tokens", "last is 399"]),
            (r#"{"prompt":"hi","temperature":-1}"#, &["temperature is -1"]),
            (r#"{"prompt":"hi","temperature":1e39}"#, &["temperature is inf"]),
            (r#"{"prompt":"hi","top_k":0}"#, &["top_k is 0", "leave it out"]),
            (r#"{"prompt":"hi","top_p":2}"#, &["top_p is 2"]),
            (r#"{"prompt":"hi","min_p":2}"#, &["min_p is 2"]),
            (r#"{"prompt":"hi","max_new_tokens":0}"#, &["max_new_tokens is 0"]),
            (r#"{"prompt":"hi","stop":["x",""]}"#, &["stop is \"\""]),
            (r#"{"prompt":"hi","stop_token_ids":[400]}"#, &["stop token id 400 is out of range"]),
            (
                r#"{"prompt":"hi","max_new_tokens":18446744073709551615}"#,
                &["made for at most 512: lower --max-new-tokens to 511"],
            ),
        ],
    );
    generate(&["", "--quiet"]).failed(1).complains(&["prompt 0: ", "the prompt is empty"]).without_results();
}

/// What is to blame is named, and only what helps.
fn too_long() {
    let of_len = |len: usize| format!(r#"{{"prompt":"{}"}}"#, "a".repeat(len));
    let check_len = |args: &[&str], len: usize, parts: &[&str]| check(args, &[(&of_len(len), parts)]);
    let pool = "9 tokens; they need 3 blocks of 4, and the pool has 2: raise --num-kv-blocks to 3, or shorten the prompt to 6 \
                tokens, or lower --max-new-tokens to 2";
    // With and without max-model-len, which is otherwise what the pool holds.
    check_len(
        &["--num-kv-blocks", "2", "--block-size", "4"],
        7,
        &["7 prompt tokens and 3 new ones, the last of which is not computed, are 9 tokens", pool],
    );
    check_len(&["--num-kv-blocks", "2", "--block-size", "4", "--max-model-len", "100"], 7, &[pool]);
    // Fewer new tokens do not help a prompt that is too long alone.
    let pool = "and the pool has 2: raise --num-kv-blocks to 3, or shorten the prompt to 6 tokens";
    check_len(&["--num-kv-blocks", "2", "--block-size", "4"], 9, &[pool]);
    let len = "9 tokens; --max-model-len is 8: raise it to 9, or shorten the prompt to 6 tokens, or lower \
               --max-new-tokens to 2";
    check_len(&["--max-model-len", "8"], 7, &[len]);
    // Nobody set the length that the model was made for, and nobody can raise it.
    let context = "are 514 tokens; the model was made for at most 512: shorten the prompt to 510 tokens, or lower \
                   --max-new-tokens to 1";
    check_len(&[], 512, &[context]);
    check_len(&["--max-model-len", "512"], 512, &[context]);
    for (args, context) in [
        (&[][..], "; the model was made for at most 512: shorten the prompt to 510 tokens"),
        (&["--max-model-len", "8"], "; the model was made for at most 512: shorten the prompt to 6 tokens"),
        (&["--num-kv-blocks", "2"], "; the model was made for at most 512: shorten the prompt to 30 tokens"),
    ] {
        let run = generate(&[&[&"a".repeat(600), "--max-new-tokens", "3"], args].concat()).failed(1);
        assert!(run.stderr.trim_end().ends_with(context), "{}", run.stderr);
    }
}

fn messages_without_a_template() {
    let llama = fixture("llama");
    let line = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    check(&["--model", llama.to_str().unwrap()], &[(line, &["no chat template", "give a prompt"])]);
}

/// Plain prompts need none.
fn messages_for_a_template_that_does_not_compile() {
    let model = ModelCopy::of("smollm2").edit("chat_template.jinja", |template| *template = b"hi\n{% if %}".into());
    let line = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let says = ["chat template: ", "(line 2)"];
    check(&["--model", model.path()], &[(line, &says)]);
    let mut chat = cb_lab(&["chat", "--backend", "cpu", "--model", model.path()]);
    chat.stdin(file_of("hello\n"));
    run(chat).failed(1).complains(&says).without_results();
}

fn unreadable_files() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.jsonl");
    for path in [missing.to_str().unwrap(), dir.path().to_str().unwrap()] {
        let named = format!("cannot read {path}: ");
        generate(&["hi", "--prompts", path]).failed(1).complains(&[&named]).without_results();
    }
}

fn files_of_other_encodings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prompts.jsonl");
    let args = ["--prompts", path.to_str().unwrap(), "--format", "jsonl", "--max-new-tokens", "1"];
    // Latin-1 in the middle; marks and line ends of Windows.
    std::fs::write(&path, b"\xef\xbb\xbf{\"prompt\":\"a\"}\r\n{\"prompt\":\"\xe9\"}\r\n\r\n{\"prompt\":\"b\"}")
        .unwrap();
    let run = generate(&args).failed(1).complains(&["prompts.jsonl, line 2: ", "column", "unicode"]);
    let ids: Vec<_> = run.json_lines().iter().map(|line| line["id"].clone()).collect();
    assert_eq!(ids, [0, 3], "an id is a place in the input");
}

/// A file of another kind has a wrong line for each of its lines: the first are told, the others counted.
fn a_file_of_another_kind() {
    let run = generate_lines(&[], &["no JSON"; 24]).failed(1).without_results();
    let errors: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(errors.len(), 21, "{errors:?}");
    assert!(errors[19].contains("line 20: this is no JSON"), "{errors:?}");
    assert_eq!(errors[20], "error: and 4 more lines that cannot be used");
}

/// Nothing to do is a mistake. Where lines were refused, that was told.
fn no_prompts_at_all() {
    let empty = ["error: stdin: there is no prompt in it"];
    for lines in [&[][..], &["", "  "]] {
        generate_lines(&[], lines).failed(1).complains(&empty).without_results();
        generate_lines(&["an argument"], lines).failed(1).complains(&empty).without_results();
    }
    let run = generate_lines(&[], &["{}", "{}"]).failed(1).without_results();
    let errors: Vec<&str> = run.stderr.lines().collect();
    assert!(errors.len() == 2 && errors.iter().all(|line| line.contains("give exactly one of")), "{errors:?}");
}
