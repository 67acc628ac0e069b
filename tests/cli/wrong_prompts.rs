//! Prompts that cannot work: each is named with its place and refused, the others still run, the exit code is 1.

use super::harness::{Run, cb_lab, file_of, generate, generate_lines, run, trials};
use super::model_copy::{ModelCopy, fixture};

trials!(
    lines_that_are_no_requests,
    requests_that_cannot_run,
    too_long,
    messages_without_a_template,
    messages_for_a_template_that_does_not_compile,
    unreadable_files,
    files_of_other_encodings,
    no_prompts_at_all,
);

/// Runs each line between two good ones; each must bring its complaint, with its place, and nothing else.
#[track_caller]
fn check(args: &[&str], cases: &[(&str, &[&str])]) {
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
            (r#"{"prompt":"hi","temperatur":1}"#, &["column 27", "unknown field `temperatur`", "`temperature`"]),
            (r#"{"prompt":"hi","prompt_token_ids":[1]}"#, &[one]),
            (r#"{"prompt":"hi","messages":[{"role":"user","content":"hi"}]}"#, &[one]),
            ("{}", &[one]),
            ("hi", &[object]),
            ("\"hi\"", &[object]),
            // serde would take a list of all fields in order.
            (r#"[null,"hi",null,null,null,null,null,null,null,null,null,null]"#, &[object]),
            (r#"{"prompt":7}"#, &["integer `7`", "string"]),
            (r#"{"prompt_token_ids":[-1]}"#, &["integer `-1`"]),
            (r#"{"prompt_token_ids":[4294967296]}"#, &["integer `4294967296`"]),
            (r#"{"messages":["hi"]}"#, &["a message is an object", r#"{"role": "user", "content": "Hi"}"#]),
            (r#"{"messages":[{"content":"hi"}]}"#, &["a message has no role"]),
            (r#"{"messages":[{"role":"user","contnet":"hi"}]}"#, &["column 47", "the key contnet", "role, content,"]),
            (
                r#"{"messages":[{"role":"user","content":7}]}"#,
                &["the content of a message is number", "a text or a list"],
            ),
            (r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, &["of type image_url", "text only"]),
            (r#"{"prompt":"hi","temperature":NaN}"#, &["column 30"]),
            (r#"{"prompt":"hi","max_new_tokens":-1}"#, &["integer `-1`"]),
            (r#"{"prompt":"hi","stop":3}"#, &["stop must be a text or a list of texts"]),
            (r#"{"prompt":"hi","prompt":"ho"}"#, &["duplicate field `prompt`"]),
        ],
    );
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
            (r#"{"prompt":"hi","max_new_tokens":18446744073709551615}"#, &["--max-model-len is 512"]),
        ],
    );
    generate(&["", "--quiet"]).failed(1).complains(&["prompt 0: ", "the prompt is empty"]).without_results();
}

fn too_long() {
    let pool = "need 3 blocks of 4, and the pool has 2: raise --num-kv-blocks to 3, shorten the prompt or lower";
    let line: (&str, &[&str]) = (r#"{"prompt":"abcdef"}"#, &["6 prompt tokens + 3 new ones = 9 tokens", pool]);
    // With and without max-model-len, which is otherwise what the pool holds.
    check(&["--num-kv-blocks", "2", "--block-size", "4"], &[line]);
    check(&["--num-kv-blocks", "2", "--block-size", "4", "--max-model-len", "100"], &[line]);
    let len = "9 tokens, and --max-model-len is 8: shorten the prompt or lower --max-new-tokens";
    check(&["--max-model-len", "8"], &[(line.0, &[len])]);
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

fn no_prompts_at_all() {
    let run = generate_lines(&[], &["", "  "]).finished().without_results();
    assert!(run.stderr.contains("there are no prompts to run"), "{}", run.stderr);
}
