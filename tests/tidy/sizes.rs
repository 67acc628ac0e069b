//! Files that can be read in one sitting.

use crate::{File, assert_finds, entries, file, files, report, root, rust_files};
use std::fs;

const MAX_LINES: usize = 400;
/// Longer than the others, with the reason.
const LONG_FILES: [(&str, usize, &str); 0] = [];
/// Prose that loses its readers when it grows.
const PROSE: [(&str, usize); 2] = [("README.md", 150), ("docs/architecture.md", 150)];
/// Of one folder of tests/fixtures, so that the repository stays small to clone.
const MAX_FIXTURE_BYTES: u64 = 500_000;

fn too_long(file: &File, limit: usize) -> Option<String> {
    let num_lines = file.text.lines().count();
    let complaint = format!(
        "{} has {num_lines} lines, {limit} are allowed: split it by idea, or, if it is one idea, list it in \
         tests/tidy/sizes.rs with the reason",
        file.path
    );
    (num_lines > limit).then_some(complaint)
}

fn limit_of(path: &str) -> usize {
    LONG_FILES.iter().find(|(long, ..)| *long == path).map_or(MAX_LINES, |(_, limit, _)| *limit)
}

fn folder_bytes(folder: &str) -> u64 {
    let bytes = |name: String| fs::metadata(root().join(folder).join(name)).map_or(0, |metadata| metadata.len());
    entries(folder).into_iter().map(bytes).sum()
}

#[test]
fn sources_are_short() {
    let sources: Vec<_> = rust_files().into_iter().chain(files("shaders", "wgsl")).collect();
    report(sources.iter().filter_map(|file| too_long(file, limit_of(&file.path))).collect());

    let mut lines: Vec<_> = files("src", "rs").iter().map(|file| file.text.lines().count()).collect();
    lines.sort_unstable();
    println!("{} files in src, {} lines, median {}", lines.len(), lines.iter().sum::<usize>(), lines[lines.len() / 2]);
}

#[test]
fn the_first_pages_are_short() {
    report(PROSE.iter().filter_map(|&(path, limit)| too_long(&file(path), limit)).collect());
}

#[test]
fn fixtures_are_small() {
    for name in entries("tests/fixtures") {
        let bytes = folder_bytes(&format!("tests/fixtures/{name}"));
        assert!(bytes <= MAX_FIXTURE_BYTES, "tests/fixtures/{name} has {bytes} bytes, {MAX_FIXTURE_BYTES} are allowed");
        assert!(bytes > 0, "tests/fixtures/{name} is empty: remove it");
    }
}

#[test]
fn the_rules_find_what_they_are_for() {
    let lines = |count: usize| File::new("src/core/long.rs", &"x\n".repeat(count));
    assert_finds(too_long(&lines(401), limit_of("src/core/long.rs")).into_iter().collect(), "has 401 lines");
    assert_eq!(too_long(&lines(400), MAX_LINES), None);
}
