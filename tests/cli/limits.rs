//! Limits no machine has: an error that names the option, never an abort.

use super::chat::chatting;
use super::harness::{generate, generate_lines, generating, run, trials};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::element_type::ElementType;

trials!(
    absurd_on_the_cpu,
    absurd_in_a_chat,
    beyond_what_a_u32_counts,
    memory_that_is_not_there,
    large_and_possible,
    the_last_token_needs_no_slot
);

/// Each with the option that is to blame.
const ABSURD: [&[&str]; 3] = [
    &["--num-kv-blocks", "16000000", "--block-size", "256"],
    &["--max-model-len", "16000000", "--num-kv-blocks", "16000000", "--block-size", "256"],
    &["--max-num-seqs", "16000000", "--num-kv-blocks", "16000000", "--block-size", "256"],
];

fn absurd_on_the_cpu() {
    // Other systems do not say how much memory there is, and give what they do not have.
    if cfg!(target_os = "linux") {
        absurd_on("cpu").unwrap();
    }
}

/// A chat starts as `generate` does.
fn absurd_in_a_chat() {
    if cfg!(target_os = "linux") {
        for limits in ABSURD {
            let run = run(chatting("smollm2", limits)).failed(2).complains(&["error: --", " is 16000000: "]);
            assert!(!run.without_results().stderr.contains("KV pool: "));
        }
    }
}

pub fn absurd_on(backend: &str) -> Result<(), String> {
    for limits in ABSURD {
        let args = [&["hi", "--max-new-tokens", "1"], limits].concat();
        let refused =
            run(generating(backend, &args)).failed(2).complains(&["error: --", " is 16000000: ", "lower it to "]);
        let refused = refused.without_results();
        if !limits.iter().any(|option| refused.stderr.contains(&format!("error: {option} is 16000000"))) {
            return Err(format!("{limits:?}: {}", refused.stderr));
        }
        if refused.stderr.contains("KV pool: ") {
            return Err(format!("{limits:?} was refused after the pool was settled: {}", refused.stderr));
        }
    }
    Ok(())
}

fn beyond_what_a_u32_counts() {
    let options =
        ["--num-kv-blocks", "--max-model-len", "--max-tokens-per-step", "--max-num-seqs", "--prefill-chunk-size"];
    for option in options {
        for value in ["1000000000", "18446744073709551615"] {
            let most = if option == "--max-tokens-per-step" { 65_535 } else { 16_777_215 };
            let named = format!("error: {option} is {value}: it must be at most {most}");
            let refused = generate(&["hi", option, value]).failed(2).complains(&[&named]);
            refused.without_results();
        }
        generate(&["hi", option, "18446744073709551616"]).failed(2).complains(&[option]);
    }
}

fn memory_that_is_not_there() {
    let words = CpuBackend::default().max_buffer_words();
    for error in [
        CpuBackend::default().alloc("k_pool", words).err(),
        CpuBackend::default().alloc_matrix("k_pool", words / 8, 8, ElementType::F32).err(),
    ] {
        let message = error.expect("no machine has 8 EiB").to_string();
        assert!(message.contains("no memory for k_pool") && message.contains("lower the limits"), "{message}");
    }
}

fn large_and_possible() {
    // All rows of these are never used at a time, and the defaults of the others follow.
    let options =
        [["--max-num-seqs", "100000"], ["--prefill-chunk-size", "16000000"], ["--max-tokens-per-step", "65535"]];
    for option in options {
        generate(&[&["hi", "--max-new-tokens", "1"], &option[..]].concat()).finished();
    }
}

/// A pool of 512 slots, a model of 512 positions and a sequence of 513 tokens: nothing is computed from the last one.
fn the_last_token_needs_no_slot() {
    let prompt = vec!["5"; 510].join(",");
    let line = |new: usize| format!(r#"{{"prompt_token_ids":[{prompt}],"max_new_tokens":{new},"ignore_eos":true}}"#);
    let pool = ["--num-kv-blocks", "32", "--block-size", "16"];
    for limits in [&pool[..], &["--max-model-len", "512"], &[]] {
        let run = generate_lines(limits, &[&line(3)]).finished();
        assert_eq!(run.json_lines()[0]["token_ids"].as_array().map(Vec::len), Some(3), "{}", run.stderr);
        generate_lines(limits, &[&line(4)]).failed(1).complains(&["are 513 tokens"]);
    }
}
