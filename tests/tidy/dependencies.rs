//! The library alone brings nothing that only its command line needs.

use crate::{assert_finds, report, root};
use std::process::Command;

/// Crates of programs: command lines, signals, progress bars, charts, terminals, runtimes.
const PROGRAMS: [&str; 10] = [
    "clap",
    "console",
    "crossterm",
    "ctrlc",
    "indicatif",
    "plotters",
    "pollster",
    "ratatui",
    "tokio",
    "wasm-bindgen-futures",
];

/// `cargo tree --prefix none` prints a line for each crate: `clap v4.6.0`.
fn program_complaints(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_ascii_whitespace().next());
    let found = names.filter(|name| PROGRAMS.iter().any(|program| name == program));
    let complaint = |name| {
        format!(
            "the library without its features needs {name}: make the dependency optional and name it in the feature `cli` \
             (`cargo tree --no-default-features -e normal -i {name}` shows who asks for it)"
        )
    };
    found.map(complaint).collect()
}

/// What cargo says about the library with these options more.
fn tree(options: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none"])
        .args(options)
        .output()
        .expect("cargo runs these tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_library_brings_no_program() {
    report(program_complaints(&tree(&["--no-default-features"])));
    report(program_complaints(&tree(&["--no-default-features", "--features", "parallel"])));
}

#[test]
fn the_rules_find_what_they_are_for() {
    assert_finds(program_complaints(&tree(&[])), "needs clap");
    assert!(program_complaints("cb-lab v0.1.0\nclap_lex v1.0.0").is_empty());
}
