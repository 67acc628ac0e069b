//! What no source may hold.

use crate::{File, assert_finds, files, report, rust_files};
use regex::Regex;

/// Words with what to do instead.
const BANNED: [(&str, &str); 4] = [
    (r"\b(TODO|FIXME|XXX)\b", "do it, or write down what is so and why, without a promise"),
    (r"\b(todo|unimplemented)!", "return an error that says what is not supported"),
    (r"\bdbg!", "remove it"),
    (r"#\[ignore", "a test runs or is gone; assert what happens now and say that it is wrong"),
];

fn banned_complaints(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for (pattern, instead) in BANNED {
        let pattern = Regex::new(pattern).expect("a regex");
        let lines = file.text.lines().enumerate().filter(|(_, line)| pattern.is_match(line));
        complaints.extend(lines.map(|(i, line)| format!("{}:{}: `{}`: {instead}", file.path, i + 1, line.trim())));
    }
    complaints
}

/// `unwrap` tells nobody what went wrong; tests may.
fn unwrap_complaints(file: &File) -> Vec<String> {
    let tests_begin = file.text.find("#[cfg(test)]").unwrap_or(file.text.len());
    let shipped = File::new(&file.path, &file.text[..tests_begin]);
    let found = shipped.code().filter(|(_, line)| line.contains(".unwrap()"));
    let complaint = |(number, line): (usize, &str)| {
        let what = line.trim();
        format!("{}:{number}: `{what}`: return an error, or `expect` with a sentence why it cannot happen", file.path)
    };
    found.map(complaint).collect()
}

/// Lints are switched off for a reason.
fn lint_complaints(file: &File) -> Vec<String> {
    let attribute = Regex::new(r"(?s)#!?\[(allow|expect)\(.*?\)\]").expect("a regex");
    let without = attribute.find_iter(&file.text).filter(|found| !found.as_str().contains("reason = \""));
    without.map(|found| format!("{}: `{}` needs a reason = \"…\"", file.path, found.as_str())).collect()
}

/// A file that no `mod` names is not compiled, and nobody notices.
fn orphans(files: &[File]) -> Vec<String> {
    let folder = |file: &File| file.path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let is_named = |file: &File| {
        let declaration = Regex::new(&format!(r"\bmod {};", file.stem())).expect("a regex");
        let beside = folder(file);
        let parent = format!("{beside}.rs");
        let may_name = |other: &&File| folder(other) == beside || other.path == parent;
        files.iter().filter(may_name).any(|other| declaration.is_match(&other.text))
    };
    // `core/mod.rs` is named as `mod core;` one folder up.
    let is_root = |file: &File| ["lib", "main", "mod"].contains(&file.stem()) || !file.path.starts_with("src/");
    let orphans = files.iter().filter(|file| !is_root(file) && !is_named(file));
    orphans.map(|file| format!("{} is not compiled: name it with `mod`, or remove it", file.path)).collect()
}

/// This file holds what it bans.
fn all_but_this() -> Vec<File> {
    let all = rust_files().into_iter().chain(files("shaders", "wgsl"));
    all.filter(|file| file.path != "tests/tidy/source.rs").collect()
}

#[test]
fn nothing_is_left_for_later() {
    report(all_but_this().iter().flat_map(banned_complaints).collect());
}

#[test]
fn nothing_is_unwrapped() {
    report(files("src", "rs").iter().flat_map(unwrap_complaints).collect());
}

#[test]
fn lints_are_switched_off_for_a_reason() {
    report(all_but_this().iter().flat_map(lint_complaints).collect());
}

#[test]
fn every_file_is_compiled() {
    report(orphans(&files("src", "rs")));
}

#[test]
fn the_rules_find_what_they_are_for() {
    let file = |text| File::new("src/a.rs", text);
    assert_finds(banned_complaints(&file("// TODO: later")), "src/a.rs:1");
    assert_finds(banned_complaints(&file("fn f() {\n    todo!()\n}")), "src/a.rs:2");
    assert_finds(unwrap_complaints(&file("x.unwrap();\n#[cfg(test)]\nmod tests { y.unwrap() }")), "src/a.rs:1");
    assert!(unwrap_complaints(&file("// x.unwrap()\n#[cfg(test)]\nmod tests { y.unwrap() }")).is_empty());
    assert_finds(lint_complaints(&file("#[allow(dead_code)]")), "needs a reason");
    assert!(lint_complaints(&file("#[expect(\n    dead_code,\n    reason = \"so\"\n)]")).is_empty());
    let files = [("src/a.rs", "mod b;"), ("src/a/b.rs", ""), ("src/a/c.rs", "")];
    assert_eq!(orphans(&files.map(|(path, text)| File::new(path, text))).len(), 2, "a itself, and c");
}
