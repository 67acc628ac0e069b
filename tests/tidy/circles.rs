//! No file of src/ needs, directly or through others, a file that needs it.
//!
//! A path says who needs whom: `crate::a::b`, `super::b`. What a `mod.rs` takes of the files it declares is not counted,
//! nor are comments and unit tests: a folder's `mod.rs` is its face, and its files may use what is declared there.

use crate::{File, assert_finds, files, report};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// `core::request` for `src/core/request.rs`, `core` for `src/core/mod.rs`.
fn module_of(path: &str) -> Option<String> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    (!["lib", "main"].contains(&path)).then(|| path.replace('/', "::"))
}

/// All code but unit tests, without comments.
fn code_of(file: &File) -> String {
    let code: Vec<&str> = file.code().map(|(_, line)| line).collect();
    let code = code.join("\n");
    code.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// Every path that begins at `crate` or `super`, from the root; those in braces one by one.
fn paths_of(module: &str, code: &str) -> Vec<String> {
    let path = Regex::new(r"\b(crate|super)((?:::\w+)*)(?:::\{([^;]*?)\})?").expect("a regex");
    let name = Regex::new(r"^\s*([\w:]+)").expect("a regex");
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut paths = Vec::new();
    for found in path.captures_iter(code) {
        let base = if &found[1] == "crate" { "" } else { parent };
        let stem = format!("{base}{}", &found[2]);
        let ends = found.get(3).map_or("", |braces| braces.as_str()).split(',');
        let ends = ends.map(|end| name.captures(end).map_or(String::new(), |end| format!("::{}", &end[1])));
        paths.extend(ends.map(|end| format!("{stem}{end}").trim_start_matches("::").to_owned()));
    }
    paths
}

/// Which modules each module needs.
fn needs(files: &[File]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<String> = files.iter().filter_map(|file| module_of(&file.path)).collect();
    let longest_module = |path: &str| {
        let mut path = path;
        while !modules.contains(path) {
            path = path.rsplit_once("::")?.0;
        }
        Some(path.to_owned())
    };
    let needs_of = |file: &File| {
        let module = module_of(&file.path)?;
        let paths = paths_of(&module, &code_of(file));
        let needed = paths.iter().filter_map(|path| longest_module(path)).filter(|other| *other != module);
        let needed = needed.collect();
        Some((module, needed))
    };
    files.iter().filter_map(needs_of).collect()
}

/// Sets of modules that all need each other, directly or through others.
fn circles(needs: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reached_from = |start: &String| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(module) = open.pop() {
            let fresh = needs.get(module).into_iter().flatten().filter(|&other| reached.insert(other.clone()));
            open.extend(fresh);
        }
        reached
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        needs.keys().map(|module| (module, reached_from(module))).collect();
    let together = |module: &String| {
        let back = reached[module].iter().filter(|other| reached.get(other).is_some_and(|from| from.contains(module)));
        back.cloned().collect::<Vec<String>>()
    };
    needs.keys().map(together).filter(|circle| !circle.is_empty()).collect()
}

fn circle_complaints(files: &[File]) -> Vec<String> {
    let complaint = |circle: Vec<String>| {
        let names = circle.join(", ");
        format!("{names} need each other: move what they share into a file that needs none of them")
    };
    circles(&needs(files)).into_iter().map(complaint).collect()
}

#[test]
fn no_files_go_in_circles() {
    report(circle_complaints(&files("src", "rs")));
}

#[test]
fn the_rules_find_what_they_are_for() {
    let file = |path: &str, text: &str| File::new(path, text);
    let two = [file("src/a/b.rs", "use super::c::D;"), file("src/a/c.rs", "fn f() -> crate::a::b::E {")];
    assert_finds(circle_complaints(&two), "a::b, a::c need each other");
    let three = [
        file("src/a/mod.rs", "mod b;\nuse b::X;"),
        file("src/a/b.rs", "use super::{X, c::Y};"),
        file("src/a/c.rs", "use crate::{d, ids};"),
        file("src/d.rs", "use crate::a::b::Z;"),
    ];
    assert_finds(circle_complaints(&three), "a::b, a::c, d need each other");
    let comments =
        [file("src/a/b.rs", "// super::c"), file("src/a/c.rs", "use super::b;\n#[cfg(test)]\nuse super::b;")];
    assert!(circle_complaints(&comments).is_empty());
}
