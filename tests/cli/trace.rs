//! `generate --trace`: a timeline that viewers open, and that agrees with the log of the same run.

use super::gpu::Gpu;
use super::harness::{cb_lab, run, trials};
use cb_lab::observe::{Recording, Step};
use serde_json::Value;

trials!(steps_and_requests, a_run_that_fails, where_it_cannot_be_written);

/// Three prompts with little memory, so that one is preempted; the log and the trace.
fn traced(backend: &str) -> (Recording, Vec<Value>) {
    let dir = tempfile::tempdir().unwrap();
    let (record, trace) = (dir.path().join("run.jsonl"), dir.path().join("trace.json"));
    let prompts = ["Once upon a time", "The little red boat", "A"];
    let limits = ["--block-size", "4", "--num-kv-blocks", "9", "--prefill-chunk-size", "4", "--max-new-tokens", "14"];
    let mut command = cb_lab(&["generate", "--backend", backend, "--ignore-eos", "--quiet"]);
    command.args(prompts).args(limits).arg("--record").arg(&record).arg("--trace").arg(&trace);
    run(command).finished();
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(&trace).unwrap()).unwrap();
    assert_eq!(trace["displayTimeUnit"], "ms");
    (Recording::load(&record).unwrap(), trace["traceEvents"].as_array().unwrap().clone())
}

/// Events of a kind and a group: `X` are bars, `i` marks.
fn of<'a>(events: &'a [Value], kind: &'a str, group: u64) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["ph"] == kind && event["pid"] == group)
}

fn steps_and_requests() {
    let (recording, events) = traced("cpu");
    assert_eq!(of(&events, "X", 1).count(), recording.steps().count());
    for (bar, step) in of(&events, "X", 1).zip(recording.steps()) {
        assert_eq!(bar["name"], format!("step {}", step.step));
        assert_eq!(
            (bar["ts"].as_f64(), bar["dur"].as_f64()),
            (Some((1e3 * step.start_ms).round()), Some((1e3 * step.ms).round()))
        );
    }
    // Each unfinished request has a bar in each step: its rows, or that it waits, with the log's own reason.
    let bars: Vec<_> = of(&events, "X", 2).collect();
    let waits: Vec<_> = bars.iter().filter(|bar| bar["name"] == "waits").collect();
    let skipped: Vec<_> = recording.skipped().into_iter().flatten().collect();
    assert_eq!(waits.len(), skipped.len());
    assert!(!skipped.is_empty(), "memory is short");
    assert!(waits.iter().zip(&skipped).all(|(bar, (_, why))| bar["args"]["why"] == why.to_string()));
    let rows: usize = recording.steps().map(|step| step.rows.len()).sum();
    assert_eq!(bars.len(), rows + skipped.len());

    let count = |name: &str| of(&events, "i", 2).filter(|mark| mark["name"] == name).count();
    let preempted: usize = recording.steps().map(|step| step.preempted.len()).sum();
    assert_eq!(["submitted", "first token", "ended", "preempted"].map(count), [3, 3, 3, preempted]);
    assert!(preempted > 0, "memory is short");
    assert_eq!(of(&events, "X", 3).count(), 0, "the CPU's kernels are not timed");
}

/// What was computed until then is there to look at.
fn a_run_that_fails() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.json");
    let args = ["generate", "--backend", "cpu", "--max-new-tokens", "3", "a", "b", "--trace", path.to_str().unwrap()];
    let mut command = cb_lab(&args);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    run(command).failed(1).complains(&["cannot write the results"]);
    let trace: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).expect("a whole trace");
    assert_eq!(of(trace["traceEvents"].as_array().unwrap(), "X", 1).count(), 3, "steps");
}

/// On a device with timestamps: every kernel of every step, inside its step.
pub fn kernels(gpu: &Gpu) -> Result<(), String> {
    let (recording, events) = traced("gpu");
    let kernels: Vec<_> = of(&events, "X", 3).collect();
    if !gpu.timestamps {
        return if kernels.is_empty() { Ok(()) } else { Err("there are no timestamps".into()) };
    }
    // Five layers with a norm before attention and one before the MLP, and one before the head if anybody samples.
    let norms = kernels.iter().filter(|bar| bar["name"] == "rms_norm").count();
    let in_step = |step: &Step| 10 + usize::from(step.rows.iter().any(|row| row.samples));
    let expected: usize = recording.steps().map(in_step).sum();
    if norms != expected {
        return Err(format!("{norms} norms and not {expected} in {} steps of five layers", recording.steps().count()));
    }
    // The first kernel of a step; the table is small enough for one piece on any device.
    let embeds = kernels.iter().filter(|bar| bar["name"] == "embed_tokens").count();
    if embeds != recording.steps().count() {
        return Err(format!("{embeds} first kernels in {} steps", recording.steps().count()));
    }
    let number = |value: &Value| value.as_f64().unwrap_or(-1.0);
    let overlap = |pair: &[&Value]| number(&pair[1]["ts"]) < number(&pair[0]["ts"]) + number(&pair[0]["dur"]) - 1e-3;
    if kernels.windows(2).any(overlap) {
        return Err("a kernel begins before the one before it has ended".into());
    }
    let spent: f64 = kernels.iter().map(|bar| number(&bar["dur"])).sum();
    if spent <= 0.0 || kernels.iter().any(|bar| number(&bar["dur"]) < 0.0 || number(&bar["ts"]) < 0.0) {
        return Err("kernels that take no time, or begin before the run".into());
    }
    let layers = kernels.iter().filter_map(|bar| bar["args"]["layer"].as_u64()).max();
    if layers == Some(4) { Ok(()) } else { Err(format!("the last layer is {layers:?}")) }
}

fn where_it_cannot_be_written() {
    let args = ["generate", "--backend", "cpu", "--trace", "/no/such/folder/trace.json", "A"];
    run(cb_lab(&args)).failed(2).without_results().complains(&["--trace is /no/such/folder/trace.json", "written"]);
}
