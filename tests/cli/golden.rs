//! All prompts of a fixture in one file give transformers' tokens, log-probabilities and text, each on its line.

use super::harness::{generating, run, trials};
use super::model_copy::fixture;
use serde_json::{Value, json};

/// One file of weights, and shards. The engine's own tests take the other fixtures.
pub const FIXTURES: [&str; 2] = ["llama", "mistral"];

trials!(llama_on_the_cpu, mistral_on_the_cpu);

fn llama_on_the_cpu() {
    check("llama", "cpu").unwrap();
}

fn mistral_on_the_cpu() {
    check("mistral", "cpu").unwrap();
}

pub fn check(name: &str, backend: &str) -> Result<(), String> {
    let folder = fixture(name);
    let golden: Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    let line = |case: &Value| {
        // A case that stops must be able to go on if its end is overlooked.
        let more = if case["finish_reason"] == "stop" { 3 } else { 0 };
        let max_new_tokens = case["token_ids"].as_array().unwrap().len() + more;
        json!({
            "id": case["name"], "prompt_token_ids": case["prompt_token_ids"], "max_new_tokens": max_new_tokens,
            "ignore_eos": case["ignore_eos"].as_bool().unwrap_or(false),
        })
    };
    let dir = tempfile::tempdir().unwrap();
    let prompts = dir.path().join("prompts.jsonl");
    let lines: Vec<String> = cases.iter().map(|case| line(case).to_string()).collect();
    std::fs::write(&prompts, lines.join("\n")).unwrap();

    let (folder, prompts) = (folder.to_str().unwrap(), prompts.to_str().unwrap());
    let args = ["--model", folder, "--prompts", prompts, "--format", "jsonl"];
    let run = run(generating(backend, &args)).finished();
    let results = run.json_lines();
    if results.len() != cases.len() {
        return Err(format!("{} results of {} prompts", results.len(), cases.len()));
    }
    // A token that ended a request is none of its output.
    let generated: usize = results.iter().filter_map(|result| result["token_ids"].as_array()).map(Vec::len).sum();
    if !run.stderr.contains(&format!(" requests, {generated} tokens in ")) {
        return Err(format!("it does not tell of {generated} tokens: {}", run.stderr));
    }
    for (result, case) in results.iter().zip(cases) {
        let same = ["prompt_token_ids", "token_ids", "text", "finish_reason"].map(|key| (&result[key], &case[key]));
        for (got, expected) in same.into_iter().chain([(&result["id"], &case["name"])]) {
            if got != expected {
                return Err(format!("{}: {got}, expected {expected}", case["name"]));
            }
        }
        let numbers = |line: &Value| -> Vec<f64> {
            line["logprobs"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let (got, expected) = (numbers(result), numbers(case));
        // Both sum some hundred f32 products per logit.
        if got.len() != expected.len() || got.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-3) {
            return Err(format!("{}: log-probabilities {got:?}, expected {expected:?}", case["name"]));
        }
    }
    Ok(())
}
