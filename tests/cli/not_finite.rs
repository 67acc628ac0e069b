//! Weights that are no numbers: every request says so, in JSON and on stderr.

use super::harness::{generate_lines, trials};
use super::model_copy::ModelCopy;

trials!(requests_fail_in_words);

fn requests_fail_in_words() {
    // The last tensor of the file: the norm before the logits.
    let model = ModelCopy::of("llama").edit("model.safetensors", |contents| {
        let end = contents.len();
        contents[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let lines = [r#"{"id":"a","prompt":"hi"}"#, r#"{"id":"b","prompt":"ho","temperature":0.7}"#];
    let run = generate_lines(&["--model", model.path(), "--max-new-tokens", "4"], &lines).failed(1);
    for (line, id) in run.json_lines().iter().zip(["a", "b"]) {
        assert_eq!((&line["id"], &line["finish_reason"]), (&id.into(), &"error".into()), "{line}");
        assert!(
            line["error"].as_str().is_some_and(|error| error.contains("logits of step 1 are not finite")),
            "{line}"
        );
    }
    for line in ["stdin, line 1: the logits of step 1 are not finite", "stdin, line 2: the logits of step 1"] {
        assert!(run.stderr.contains(line), "{}", run.stderr);
    }
    assert!(run.stderr.contains("0 requests, "), "{}", run.stderr);
}
