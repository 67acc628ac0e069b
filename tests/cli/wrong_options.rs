//! Options that cannot work: exit code 2, and a message that names the option, the value and what works instead.

use super::harness::{cb_lab, generate, run, trials};

trials!(values_out_of_range, values_that_are_none, what_is_no_option, told_before_a_device_is_opened);

fn values_out_of_range() {
    let power = "a power of two from 1 to 256";
    let cases = [
        ("--block-size", "0", power),
        ("--block-size", "3", power),
        ("--block-size", "512", power),
        ("--num-kv-blocks", "0", "at least 1"),
        ("--max-tokens-per-step", "0", "at least 1"),
        ("--prefill-chunk-size", "0", "at least 1"),
        ("--max-num-seqs", "0", "at least 1"),
        ("--max-model-len", "0", "at least 1"),
        ("--max-new-tokens", "0", "at least 1"),
        ("--temperature", "-1", "0 for greedy or a positive number"),
        ("--temperature", "NaN", "0 for greedy or a positive number"),
        ("--temperature", "inf", "0 for greedy or a positive number"),
        ("--top-k", "0", "leave it out to keep all tokens"),
        ("--top-p", "0", "above 0 and at most 1"),
        ("--top-p", "2", "above 0 and at most 1"),
        ("--top-p", "NaN", "above 0 and at most 1"),
        ("--min-p", "2", "from 0 to 1"),
        ("--min-p", "-0.5", "from 0 to 1"),
        ("--stop", "", "must not be empty"),
    ];
    for (option, value, remedy) in cases {
        let shown = if value.is_empty() { "\"\"" } else { value };
        let named = format!("error: {option} is {shown}: ");
        generate(&["hi", option, value]).failed(2).complains(&[&named, remedy]).without_results();
    }
    let both = std::env::temp_dir().join("cb-lab-log-and-trace");
    let both = both.to_str().expect("a temporary folder has a name in UTF-8");
    let run = generate(&["hi", "--record", both, "--trace", both]);
    run.failed(2).complains(&["error: --trace is ", "name another file"]).without_results();
    assert!(!std::path::Path::new(both).exists(), "nothing was written");
}

fn values_that_are_none() {
    let cases = [("--block-size", "x"), ("--seed", "-1"), ("--top-k", "1.5"), ("--temperature", "hot")];
    for (option, value) in cases {
        let named = format!("invalid value '{value}' for '{option} <");
        generate(&["hi", option, value]).failed(2).complains(&[&named]).without_results();
    }
    let backends = run(cb_lab(&["generate", "hi", "--backend", "tpu"])).failed(2).without_results();
    assert!(backends.stderr.contains("[possible values: auto, gpu, cpu]"));
    let formats = generate(&["hi", "--format", "xml"]).failed(2).without_results();
    assert!(formats.stderr.contains("[possible values: text, jsonl]"));
}

fn what_is_no_option() {
    generate(&["hi", "--frobnicate"]).failed(2).complains(&["'--frobnicate'"]).without_results();
    generate(&["hi", "--top-p"]).failed(2).complains(&["'--top-p <P>'"]).without_results();
    run(cb_lab(&["frobnicate"])).failed(2).complains(&["'frobnicate'"]).without_results();
    run(cb_lab(&["devices", "--xml"])).failed(2).complains(&["'--xml'"]).without_results();
    let both = ["'--quiet'", "'--log-steps'"];
    generate(&["hi", "--quiet", "--log-steps"]).failed(2).complains(&both).without_results();
}

fn told_before_a_device_is_opened() {
    let refused = generate(&["hi", "--block-size", "3"]).failed(2);
    assert!(!refused.stderr.contains("running on"), "{}", refused.stderr);
}
