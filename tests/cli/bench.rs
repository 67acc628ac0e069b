//! `cb-lab bench`: every bench runs and its report makes sense. How fast anything is, is not tested.

use super::harness::{cb_lab, run, trials};
use super::model_copy::fixture;
use serde_json::Value;
use std::fs;

trials!(all_on_the_cpu, refuses_what_makes_no_sense, a_report_that_cannot_be_written);

fn all_on_the_cpu() {
    all_on("cpu").unwrap_or_else(|error| panic!("{error}"));
}

/// Runs a bench with its smallest settings; returns the table and the report.
fn bench(what: &str, backend: &str, args: &[&str]) -> (String, Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let common = ["bench", what, "--backend", backend, "--repeats", "1", "--json", path.to_str().unwrap()];
    let table = run(cb_lab(&[&common, args].concat())).finished().stdout;
    (table, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
}

/// Every bench on a backend.
pub fn all_on(backend: &str) -> Result<(), String> {
    let model = fixture("qwen2");
    let model = ["--model", model.to_str().expect("the repository has a plain path")];
    let calibrate = bench("calibrate", backend, &[]);
    let attention = ["--batch", "2", "--context", "40", "--queries", "1,5", "--block-size", "1,16", "--head-dim", "32"];
    let attention = bench("attention", backend, &attention);
    let linear = bench("linear", backend, &["--shapes", "64x40", "--rows", "1,9", "--elements", "f32,bf16"]);
    let decode = bench("model", backend, &[&model[..], &["--prompt-len", "9", "--batch", "1,3"]].concat());
    let throughput = ["--requests", "5", "--rate", "1000", "--prompt-len", "8", "--output-len", "9"];
    let throughput = bench("throughput", backend, &[&model[..], &throughput].concat());

    for (table, report) in [&calibrate, &attention, &linear, &decode, &throughput] {
        let best = &report["calibration"];
        let limits =
            ["read_gb_per_s", "copy_gb_per_s", "gflop_per_s"].map(|key| best[key].as_f64().unwrap_or_default());
        check(limits.into_iter().all(|limit| limit > 0.0), table)?;
        check(report["device"].as_str().is_some_and(|device| table.starts_with(device)), table)?;
    }
    let cases = |report: &Value| report["cases"].as_array().cloned().unwrap_or_default();
    for (count, (table, report)) in [(6, &attention), (4, &linear), (3, &decode)] {
        check(cases(report).len() == count, table)?;
        let sensible = |case: &Value| {
            let [low, median, high] = ["low_us", "median_us", "high_us"].map(|key| case[key].as_f64().unwrap_or(-1.0));
            0.0 < low && low <= median && median <= high && case["flop"].as_f64() > Some(0.0)
        };
        check(cases(report).iter().all(sensible), table)?;
    }
    let deterministic = ["--deterministic", "--prompt-len", "9", "--batch", "3"];
    let (table, report) = bench("model", backend, &[&model[..], &deterministic].concat());
    check(table.contains("deterministic: decode, batch 3 takes "), &table)?;
    check(cases(&report).len() == 2 && report["prices"].as_array().is_some_and(|prices| prices.len() == 2), &table)?;
    check(attention.0.contains("checked: all results match, 6 layouts"), &attention.0)?;
    // Two for each weight and row, whatever the type: 64 columns, 40 rows of the weight, 9 of x.
    check(cases(&linear.1)[3]["flop"] == 46_080.0, &linear.0)?;
    // q·k and p·v of 8 heads of 32: two queries see 40 tokens each; ten see 40 to 36.
    let flops = [0, 3].map(|case| cases(&attention.1)[case]["flop"].as_f64());
    check(flops == [Some(81_920.0), Some(389_120.0)], &attention.0)?;

    let served = throughput.1["served"].as_array().cloned().unwrap_or_default();
    check(served.len() == 2 && served[0]["batching"] == "static", &throughput.0)?;
    // The same requests, so the same tokens; a step gives a request one at most, and the longest output has nine.
    let steps = served.iter().map(|served| served["steps"].as_u64().unwrap_or_default());
    check(steps.min() >= Some(2), &throughput.0)?;
    check(served[0]["tokens"] == served[1]["tokens"] && served[0]["tokens"].as_u64() >= Some(10), &throughput.0)
}

fn check(holds: bool, table: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(table.into()) }
}

fn refuses_what_makes_no_sense() {
    let refused = |args: &[&str], parts: &[&str]| {
        let args = [&["bench"], args, &["--backend", "cpu"]].concat();
        run(cb_lab(&args)).failed(2).without_results().complains(parts);
    };
    refused(&["linear", "--shapes", "64"], &["--shapes is 64", "896x4864"]);
    refused(&["linear", "--shapes", "63x64"], &["--shapes is 63x64", "multiple of 4"]);
    refused(&["attention", "--heads", "7", "--kv-heads", "2"], &["--heads is 7", "multiple of --kv-heads"]);
    refused(&["attention", "--head-dim", "36"], &["--head-dim is 36", "multiple of 8"]);
    refused(&["attention", "--block-size", "3"], &["--block-size is 3", "power of two"]);
    refused(&["attention", "--batch", "0"], &["--batch is 0", "at least 1"]);
    refused(&["throughput", "--rate", "0"], &["--rate is 0", "0.001"]);
    refused(&["throughput", "--requests", "0"], &["--requests is 0", "at least 1"]);
    refused(&["throughput", "--rate", "1e-30"], &["--rate is ", "0.001"]);
    refused(&["linear", "--rows", "0"], &["--rows is 0", "at least 1"]);
    refused(&["linear", "--repeats", "18446744073709551615"], &["--repeats is 18446744073709551615", "at most"]);
    refused(&["attention", "--context", "1000000", "--batch", "1000000"], &["--context is 1000000", "more words"]);
    refused(&["model", "--prompt-len", "0"], &["--prompt-len is 0", "at least 1"]);
}

fn a_report_that_cannot_be_written() {
    let args = ["bench", "calibrate", "--backend", "cpu", "--json", "/no/such/folder/report.json"];
    run(cb_lab(&args)).failed(1).complains(&["cannot write /no/such/folder/report.json"]);
}
