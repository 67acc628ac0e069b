//! Files that can be read in one sitting.

use crate::{File, assert_finds, entries, file, files, report, root, rust_files};
use std::fs;

const MAX_LINES: usize = 400;
/// Longer than the others, with the reason.
const LONG_FILES: [(&str, usize, &str); 0] = [];
/// Prose that loses its readers when it grows, in words. Lines are free: a cap of lines made sentences dense.
const PROSE: [(&str, usize); 2] = [("README.md", 900), ("docs/architecture.md", 1_700)];
/// Lines of code that somebody who wants to know the whole engine has to read: src without the command line, without
/// comments and unit tests. A reader gets through a hundred in ten minutes, so this is a long weekend. Whoever needs more
/// deletes something, or raises it and says here for what: 700 more for CPU kernels in two versions, since most people's
/// first run is on a CPU; 2,300 more for chat templates as Python reads them (src/text/jinja) and patterns as Oniguruma
/// does, since without these a prompt differs from the model's by a space, silently; 350 for the forms of checkpoints, and
/// for saying what is wrong with one; 350 for templates that would not end or would overflow the stack, and for Python's
/// comparisons, tuples and generators; 180 for a CPU that asks for its weights ahead; 190 for the special tokens
/// that only the files beside tokenizer.json name, since without these a prompt has other tokens, silently; 20 for whole
/// numbers that are multiplied where they lie in a word; 80 for packing weights in all threads, and telling how far it is;
/// 90 for attention of few rows that reads K and V where they lie; 200 for kernels that fit hardware's
/// registers.
const ENGINE_BUDGET: usize = 13_700;
/// The same of the shaders: 60 for linears whose threads share sums.
const SHADER_BUDGET: usize = 2_160;
/// The longest that a file of src may be in the median.
const MEDIAN_LINES: usize = 120;
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

fn too_wordy(file: &File, limit: usize) -> Option<String> {
    let num_words = file.text.split_whitespace().count();
    let complaint =
        format!("{} has {num_words} words, {limit} are allowed: move what few need to a page of its own", file.path);
    (num_words > limit).then_some(complaint)
}

/// Lines of code before the unit tests, without comments and empty lines.
fn num_code_lines(file: &File) -> usize {
    let lines = file.text.lines().map(str::trim).take_while(|line| *line != "#[cfg(test)]");
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

fn over_budget(what: &str, sources: &[File], budget: usize) -> Option<String> {
    let num_lines: usize = sources.iter().map(num_code_lines).sum();
    println!("{what}: {num_lines} lines of code, the budget is {budget}");
    (num_lines > budget).then(|| format!("{what} has {num_lines} lines of code, {budget} are allowed: see {}", file!()))
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
    let median = lines[lines.len() / 2];
    println!("{} files in src, {} lines, median {median}", lines.len(), lines.iter().sum::<usize>());
    assert!(
        median <= MEDIAN_LINES,
        "half of the files in src have more than {median} lines, {MEDIAN_LINES} are allowed"
    );
}

#[test]
fn the_engine_can_be_read_in_a_long_weekend() {
    let engine: Vec<File> = files("src", "rs").into_iter().filter(|file| !file.path.starts_with("src/cli/")).collect();
    let engine = over_budget("src without src/cli", &engine, ENGINE_BUDGET);
    report(engine.into_iter().chain(over_budget("shaders", &files("shaders", "wgsl"), SHADER_BUDGET)).collect());
}

#[test]
fn the_first_pages_are_short() {
    report(PROSE.iter().filter_map(|&(path, limit)| too_wordy(&file(path), limit)).collect());
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
    assert_finds(too_wordy(&lines(901), 900).into_iter().collect(), "has 901 words");
    let code = File::new("src/a.rs", "//! a\n\nfn f() {\n    // why\n}\n#[cfg(test)]\nmod tests {}\n");
    assert_eq!(num_code_lines(&code), 2);
    assert_finds(over_budget("one file", &[code], 1).into_iter().collect(), "one file has 2 lines of code");
}
