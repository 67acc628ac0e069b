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

#[test]
fn hundredths_are_rounded() {
    let cases = [((2, 3), 67), ((1, 3), 33), ((1, 200), 1), ((1, 201), 0), ((3, 3), 100), ((0, 0), 0)];
    for ((part, of), rounded) in cases {
        assert_eq!(crate::common::percent(part, of), rounded, "{part} of {of}");
    }
}

/// The height of the tallest bar, and whether the dashed line of the budget is there.
fn tallest(knobs: &[&str]) -> (usize, bool) {
    let recording = recording(knobs);
    let budget = pictures(&recording).unwrap().into_iter().find(|(name, _)| *name == "budget.svg").unwrap().1;
    let bars = budget
        .lines()
        .filter(|line| line.starts_with("<rect class=\"ink\"") || line.starts_with("<rect class=\"mid\""));
    let height = |line: &str| line.split_once("height=\"")?.1.split('"').next()?.parse().ok();
    (bars.filter_map(height).max().unwrap(), budget.contains(r#"class="dashed""#))
}

/// A budget of `generate` is far above what a few requests use of it.
#[test]
fn bars_are_tall_enough_to_see() {
    assert!(tallest(&[]).1, "where the budget is reached, it is shown");
    let (height, is_shown) = tallest(&["--max-tokens-per-step", "512"]);
    assert!(height > 60 && !is_shown, "{height}");
}

/// Pieces that are too low for a number have a list of colours below the plot.
#[test]
fn whose_colour_it_is_stands_in_the_block_map() {
    let map = |knobs: &[&str]| pictures(&recording(knobs)).unwrap().into_iter().nth(1).unwrap().1;
    let many = map(&["--block-size", "1", "--num-kv-blocks", "96"]);
    assert!(many.contains(">requests</text>") && !map(&[]).contains(">requests</text>"));
    for id in 0..5 {
        assert!(many.contains(&format!(r#"class="small bold m i{id}""#)), "request {id}");
    }
}

/// There are seven colours.
#[test]
fn requests_of_one_colour_have_other_edges() {
    let fills = [0, 6, 7, 14, 21].map(|id| crate::svg::fill(cb_lab::RequestId(id)));
    assert_eq!(fills, ["r0", "r6", "r0 round1", "r0 round2", "r0"]);
    let of = |knobs: &[&str]| pictures(&recording(knobs)).unwrap().remove(0).1;
    assert!(of(&["--requests", "9"]).contains(".round1 {") && !of(&[]).contains("round1"));
}
