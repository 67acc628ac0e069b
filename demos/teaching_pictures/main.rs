//! The pictures of ideas that the documentation shows. Each is drawn from figures in this folder, not from a run:
//! pictures of a run are those of visualization_demo.

mod attention;
mod layouts;
#[path = "../common/palette.rs"]
#[allow(dead_code, reason = "some colours are for terminals")]
mod palette;
mod shapes;
mod steps;
#[path = "../visualization_demo/svg.rs"]
#[allow(dead_code, reason = "some parts are for pictures of runs")]
mod svg;
#[cfg(test)]
mod tests;

use clap::Parser;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Draws the pictures of ideas that the documentation shows.
#[derive(Parser)]
struct Args {
    /// Where to write
    #[arg(long, value_name = "DIR", default_value_os_t = shown())]
    out: PathBuf,
}

fn main() -> io::Result<()> {
    let Args { out } = Args::parse();
    fs::create_dir_all(&out)?;
    for (name, text) in pictures() {
        let path = out.join(name);
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Names of files, and what is in them.
fn pictures() -> [(&'static str, String); 8] {
    [
        ("kv_layout.svg", layouts::kv_layout()),
        ("padded_vs_ragged.svg", layouts::padded_vs_ragged()),
        ("block_table.svg", layouts::block_table()),
        ("mixed_steps.svg", steps::mixed_steps()),
        ("async_scheduling.svg", steps::async_scheduling()),
        ("online_softmax.svg", attention::online_softmax()),
        ("tiles.svg", attention::tiles()),
        ("splits.svg", attention::splits()),
    ]
}

/// The folder of the pictures that the documentation shows.
fn shown() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images")
}
