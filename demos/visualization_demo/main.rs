//! Pictures of a recorded run: who computes what, who attends to whom, who holds which block, where the budget goes;
//! and a page that plays the run step by step.

mod block_map;
mod budget;
#[path = "../common/mod.rs"]
mod common;
mod page;
#[path = "../common/palette.rs"]
#[allow(dead_code, reason = "some colours are for terminals")]
mod palette;
mod ragged_mask;
#[path = "../common/sentences.rs"]
mod sentences;
mod svg;
mod terminal;
#[cfg(test)]
mod tests;
mod timeline;

use cb_lab::backend::cpu::CpuBackend;
use cb_lab::observe::Recording;
use cb_lab::observe::snapshots::snapshots;
use clap::Parser;
use common::scenario::Scenario;
use common::{Lab, Outcome};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes pictures of a run: SVG files, and a page that plays it.
#[derive(Parser)]
#[command(after_help = "Try:\n  --num-kv-blocks 64         memory for all: nobody is preempted\n  \
    --max-tokens-per-step 48 --prefill-chunk-size 48   prompts at once: see timeline.svg and budget.svg\n  \
    --record run.jsonl         a run that `cb-lab generate --record run.jsonl` wrote\n  \
    --out docs/images          what the documentation shows, drawn again")]
struct Args {
    /// Where to write
    #[arg(long, value_name = "DIR", default_value = "target/visualization")]
    out: PathBuf,
    /// A recorded run to draw, in place of one of its own
    #[arg(long, value_name = "FILE", conflicts_with_all = KNOBS)]
    record: Option<PathBuf>,
    /// Write nothing: fail if what the documentation shows is not what would be written
    #[arg(long, conflicts_with_all = KNOBS, conflicts_with_all = ["record", "out"])]
    check: bool,
    /// A text that a terminal showed (`-`: stdin), to draw as terminal.svg and nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = KNOBS, conflicts_with_all = ["record", "check"])]
    terminal: Option<PathBuf>,
    #[command(flatten)]
    scenario: Scenario,
}

/// The groups of flags of a run of its own.
const KNOBS: [&str; 4] = ["Scenario", "Limits", "Requests", "Sampling"];

/// A file and what is to be in it.
type Picture = (&'static str, String);

fn main() -> ExitCode {
    common::exit_code(run(&Args::parse()))
}

fn run(args: &Args) -> Outcome {
    if let Some(path) = &args.terminal {
        let text = if path.as_os_str() == "-" { io::read_to_string(io::stdin())? } else { fs::read_to_string(path)? };
        return write(&args.out, vec![("terminal.svg", terminal::draw(&text))]);
    }
    let recording = match &args.record {
        Some(path) => Recording::load(path)?,
        // On the CPU, which gives the same tokens everywhere.
        None => args.scenario.record(Lab::new(CpuBackend::default(), &args.scenario.limits())?)?,
    };
    let pictures = pictures(&recording)?;
    if args.check {
        return check(&pictures, &shown());
    }
    write(&args.out, pictures)
}

fn write(folder: &Path, pictures: Vec<Picture>) -> Outcome {
    fs::create_dir_all(folder)?;
    for (name, text) in pictures {
        let path = folder.join(name);
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn pictures(recording: &Recording) -> Outcome<Vec<Picture>> {
    let snapshots = snapshots(recording);
    Ok(vec![
        ("timeline.svg", timeline::draw(recording, &snapshots)),
        ("block_map.svg", block_map::draw(recording, &snapshots)),
        ("budget.svg", budget::draw(recording, &snapshots)),
        ("ragged_mask.svg", ragged_mask::draw(&snapshots).ok_or("no step was recorded")?),
        ("run.html", page::draw(recording, &snapshots)),
    ])
}

/// The folder of the pictures that the documentation shows.
fn shown() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images")
}

fn check(pictures: &[Picture], folder: &Path) -> Outcome {
    let is_current = |(name, text): &&Picture| fs::read_to_string(folder.join(name)).is_ok_and(|shown| shown == *text);
    let stale: Vec<&str> = pictures.iter().filter(|picture| !is_current(picture)).map(|(name, _)| *name).collect();
    if stale.is_empty() {
        println!("{} pictures in docs/images are current", pictures.len());
        return Ok(());
    }
    Err(format!(
        "docs/images has other pictures than this run gives: {}. If that is as it should be, draw them again: \
         cargo run --release --example visualization_demo -- --out docs/images",
        stale.join(", ")
    )
    .into())
}
