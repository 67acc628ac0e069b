//! A tokenizer that takes text back which it had given out: the request fails, and nothing else.

use super::harness::{cb_lab, file_of, generate_lines, run, trials};
use super::model_copy::ModelCopy;
use serde_json::{Value, json};

trials!(one_request_fails, a_chat_goes_on);

/// Two characters or more are decoded to one, so the second token takes back what the first one gave.
fn model_that_takes_text_back() -> ModelCopy {
    ModelCopy::of("smollm2").edit("tokenizer.json", |contents| {
        let mut json: Value = serde_json::from_slice(contents).expect("tokenizer.json is JSON");
        let replace = json!({"type": "Replace", "pattern": {"Regex": "[\\s\\S][\\s\\S]+"}, "content": "?"});
        json["decoder"] = json!({"type": "Sequence", "decoders": [json["decoder"].take(), replace]});
        *contents = serde_json::to_vec(&json).expect("JSON can be written");
    })
}

const TAKEN_BACK: &str = "was given out and has become \"?\"";

fn one_request_fails() {
    let model = model_that_takes_text_back();
    let lines = [
        r#"{"id":"first","prompt":"a sea","max_new_tokens":1}"#,
        r#"{"id":"broken","prompt":"b sea","max_new_tokens":40}"#,
        r#"{"id":"last","prompt":"c sea","max_new_tokens":1}"#,
    ];
    let run = generate_lines(&["--model", model.path(), "--max-num-seqs", "2"], &lines).failed(1);
    let run = run.complains(&["stdin, line 2: tokenizer: ", TAKEN_BACK]);
    let lines = run.json_lines();
    let ends: Vec<_> = lines.iter().map(|line| [&line["id"], &line["finish_reason"]]).collect();
    assert_eq!(ends, [["first", "length"], ["broken", "error"], ["last", "length"]]);
    assert!(lines[1]["error"].as_str().is_some_and(|error| error.contains(TAKEN_BACK)), "{}", lines[1]);
    assert!(lines[0].get("error").is_none());
    assert!(run.stderr.contains("2 requests, "), "{}", run.stderr);
}

fn a_chat_goes_on() {
    let model = model_that_takes_text_back();
    let mut command = cb_lab(&["chat", "--backend", "cpu", "--model", model.path(), "--max-new-tokens", "40"]);
    command.stdin(file_of("hello\nhello\n"));
    let run = run(command).finished();
    assert_eq!(run.stderr.matches(TAKEN_BACK).count(), 2, "both are answered, as well as can be: {}", run.stderr);
}
