//! Options that cannot work: exit code 2, and a message that names the option, the value and what works instead.

use super::harness::{cb_lab, generate, run, trials};
use super::model_copy::ModelCopy;

trials!(
    values_out_of_range,
    files_that_cannot_be_written,
    values_that_are_none,
    what_is_no_option,
    told_before_a_device_is_opened,
);

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

/// Before the model is read, which here cannot be; and a run that does not begin leaves all files as they were.
fn files_that_cannot_be_written() {
    let model = ModelCopy::of("llama").remove("tokenizer.json");
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().expect("a temporary folder has a plain name").to_owned();
    for option in ["--record", "--trace"] {
        for wrong in [path("no/such/folder/file"), path("")] {
            let run = generate(&["hi", "--model", model.path(), option, &wrong]).failed(2).without_results();
            run.complains(&[&format!("error: {option} is {wrong}: it cannot be written")]);
        }
        let (old, new) = (path("old"), path("new"));
        std::fs::write(&old, "kept").unwrap();
        for file in [&old, &new] {
            generate(&["hi", "--model", model.path(), option, file]).failed(1).complains(&["tokenizer.json"]);
        }
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "kept");
        assert!(!std::path::Path::new(&new).exists(), "an empty file was left behind");
        let longer = "x".repeat(1 << 20);
        std::fs::write(&old, &longer).unwrap();
        generate(&["hi", "--max-new-tokens", "1", option, &old]).finished();
        let written = std::fs::read_to_string(&old).unwrap();
        assert!(written.starts_with('{') && written.ends_with("}\n"), "nothing of the old file is left");
    }
}

fn values_that_are_none() {
    let (count, any) = ("use a whole number from 1", "use a whole number from 0");
    let counts =
        ["max-new-tokens", "top-k", "block-size", "num-kv-blocks", "max-tokens-per-step", "prefill-chunk-size"];
    let counts = counts.into_iter().chain(["max-num-seqs", "max-model-len"]);
    let mut cases: Vec<_> =
        counts.flat_map(|option| ["x", "-1", "1.5", ""].map(|value| (option, value, count))).collect();
    cases.extend(["x", "-1"].map(|value| ("seed", value, any)));
    cases.extend(["x", "-1", "1;2"].map(|value| ("stop-token-ids", value, any)));
    cases.extend(["temperature", "top-p", "min-p"].map(|option| (option, "hot", "use a number, such as 0.7")));
    for (option, value, allowed) in cases {
        let option = format!("--{option}");
        let named = format!("invalid value '{value}' for '{option} <");
        generate(&["hi", &option, value]).failed(2).complains(&[&named, allowed]).without_results();
    }
    let bits = "use a whole number from 0 that fits in 64 bits";
    generate(&["hi", "--seed", "18446744073709551616"]).failed(2).complains(&[bits]);
    let benches = [
        ("throughput", "--requests", count),
        ("throughput", "--rate", "use a number"),
        ("throughput", "--seed", any),
        ("attention", "--batch", count),
        ("attention", "--repeats", count),
        ("linear", "--rows", count),
        ("model", "--prompt-len", count),
        ("quality", "--window", count),
    ];
    for (bench, option, allowed) in benches {
        let refused = run(cb_lab(&["bench", bench, option, "x"])).failed(2).without_results();
        refused.complains(&[&format!("invalid value 'x' for '{option} <"), allowed]);
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
