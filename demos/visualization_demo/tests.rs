//! What the documentation shows is what the program draws, and the check would notice if it were not.

use super::{Args, check, pictures, shown};
use crate::common::Lab;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::observe::Recording;
use clap::Parser;

fn recording(knobs: &[&str]) -> Recording {
    let Args { scenario, .. } = Args::parse_from(["visualization_demo"].iter().chain(knobs));
    scenario.record(Lab::new(CpuBackend::default(), &scenario.limits()).unwrap()).unwrap()
}

#[test]
fn pictures_in_the_documentation_are_current() {
    check(&pictures(&recording(&[])).unwrap(), &shown()).unwrap();
}

#[test]
fn another_run_has_other_pictures() {
    let error = check(&pictures(&recording(&["--max-tokens-per-step", "8"])).unwrap(), &shown()).unwrap_err();
    for name in ["timeline.svg", "block_map.svg", "budget.svg", "ragged_mask.svg", "run.html"] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// Times differ from run to run, and are in no picture.
#[test]
fn a_log_read_back_gives_the_same_pictures() {
    let recording = recording(&[]);
    let read_back = Recording::parse(&recording.to_jsonl()).unwrap();
    assert_eq!(pictures(&recording).unwrap(), pictures(&read_back).unwrap());
}

#[test]
fn pictures_are_small_and_ask_for_nothing_else() {
    for (name, text) in pictures(&recording(&[])).unwrap() {
        assert!(text.len() < 60_000, "{name} has {} bytes", text.len());
        let links = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http") && !links.contains("src=") && !links.contains("@import"), "{name}");
    }
}
