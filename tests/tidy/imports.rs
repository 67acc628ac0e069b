//! Imports point downwards, and some things may be named in one place only.

use crate::{File, assert_finds, files, report};
use regex::Regex;

/// The modules from the lowest to the highest. Each may use itself and those before it.
const LAYERS: [&str; 12] =
    ["ids", "error", "config", "core", "files", "backend", "model", "text", "engine", "observe", "workloads", "cli"];
/// What of lib.rs's exports sources may name without its module; all of it is from the three lowest modules.
const ROOT_NAMES: [&str; 6] = ["BlockId", "EngineConfig", "Error", "RequestId", "Result", "TokenId"];

/// A pattern that may only be in files below a folder.
struct Rule {
    pattern: &'static str,
    only_in: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 6] = [
    Rule {
        pattern: r"\bwgpu\b",
        only_in: &["src/backend/gpu/"],
        why: "the GPU backend alone knows wgpu; give it a method for what you need",
    },
    Rule {
        pattern: r"\bpollster\b|\bblock_on\b",
        only_in: &["src/cli/"],
        why: "a browser cannot block; make the function async and let the command line wait",
    },
    Rule {
        pattern: r"\brayon\b|thread::(spawn|scope|Builder)",
        only_in: &["src/backend/cpu/"],
        why: "threads are the CPU kernels' alone, behind the feature `parallel`; a browser has none",
    },
    Rule {
        pattern: r"std::time::.*(Instant|SystemTime)|\bSystemTime\b",
        only_in: &[],
        why: "take the time from web_time: std's clocks panic in a browser",
    },
    Rule {
        pattern: r"\be?print(ln)?!",
        only_in: &["src/cli/"],
        why: "return it; the command line alone writes, text to stdout and all else to stderr",
    },
    Rule {
        pattern: r"\b(mod|use) .*\bsuper::super\b",
        only_in: &[],
        why: "write it with crate::, so that the direction of the import can be seen",
    },
];

/// What the control plane may not name, so that a run follows from its inputs alone.
const NOT_IN_CORE: &str = r"std::(time|thread|fs|env|net|io|process)\b|\brand\b|\bHash(Map|Set)\b|\basync\b|\bunsafe\b";

/// The layer of a file: `src/core/request.rs` and `src/core.rs` belong to `core`.
fn layer_of(path: &str) -> Option<usize> {
    let module = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    LAYERS.iter().position(|layer| *layer == module)
}

fn direction_complaints(file: &File) -> Vec<String> {
    let Some(own) = layer_of(&file.path) else { return Vec::new() };
    let import = Regex::new(r"\bcrate::(\w+|\{)").expect("a regex");
    let mut complaints = Vec::new();
    for (number, line) in file.code() {
        for name in import.captures_iter(line).map(|found| found[1].to_owned()) {
            let place = format!("{}:{number}", file.path);
            match LAYERS.iter().position(|layer| *layer == name) {
                Some(layer) if layer <= own => {}
                Some(_) => complaints.push(format!(
                    "{place}: {} uses {name}, which comes later in {LAYERS:?}: move what they share down, or pass it in",
                    LAYERS[own]
                )),
                None if ROOT_NAMES.contains(&name.as_str()) => {}
                None => complaints.push(format!("{place}: name the module, as in crate::{}::…", LAYERS[own])),
            }
        }
    }
    complaints
}

fn rule_complaints(file: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for rule in RULES {
        let pattern = Regex::new(rule.pattern).expect("a regex");
        if rule.only_in.iter().any(|folder| file.path.starts_with(folder)) {
            continue;
        }
        let found = file.code().filter(|(_, line)| pattern.is_match(line));
        complaints
            .extend(found.map(|(number, line)| format!("{}:{number}: `{}`: {}", file.path, line.trim(), rule.why)));
    }
    complaints
}

fn core_complaints(file: &File) -> Vec<String> {
    let banned = Regex::new(NOT_IN_CORE).expect("a regex");
    let foreign = Regex::new(r"^\s*(pub )?use (\w+)").expect("a regex");
    // serde's derives describe data; a plan is written to an event log as it is.
    let is_foreign = |line: &str| {
        foreign.captures(line).is_some_and(|found| !["std", "crate", "super", "self", "serde"].contains(&&found[2]))
    };
    let found = file.code().filter(|(_, line)| banned.is_match(line) || is_foreign(line));
    let complaint = |(number, line): (usize, &str)| {
        format!(
            "{}:{number}: `{}`: the control plane is pure: no clock, thread, I/O, randomness or order of a hash, and no \
             crate but std and serde's derives; pass in what it needs (for a map in order: BTreeMap)",
            file.path,
            line.trim()
        )
    };
    found.map(complaint).collect()
}

#[test]
fn imports_point_downwards() {
    report(files("src", "rs").iter().flat_map(direction_complaints).collect());
}

#[test]
fn some_things_are_named_in_one_place() {
    report(files("src", "rs").iter().flat_map(rule_complaints).collect());
}

#[test]
fn the_control_plane_is_pure() {
    report(files("src/core", "rs").iter().flat_map(core_complaints).collect());
}

#[test]
fn every_module_has_a_layer() {
    for file in files("src", "rs").iter().filter(|file| !["lib", "main"].contains(&file.stem())) {
        assert!(layer_of(&file.path).is_some(), "{}: give its module a place in LAYERS", file.path);
    }
}

#[test]
fn the_rules_find_what_they_are_for() {
    let core = |text| File::new("src/core/kv_cache.rs", text);
    assert_finds(
        direction_complaints(&core("use crate::ids::BlockId;\nuse crate::text::Tokenizer;")),
        ":2: core uses text",
    );
    assert_finds(direction_complaints(&core("fn f() -> crate::model::ModelConfig {")), "core uses model");
    assert_finds(direction_complaints(&core("use crate::{ids, text};")), "name the module");
    assert!(direction_complaints(&core("/// [`crate::engine::Engine`]\nuse crate::Result;")).is_empty());
    assert!(direction_complaints(&File::new("src/cli/mod.rs", "use crate::core::request::Request;")).is_empty());

    assert_finds(rule_complaints(&core("let b: wgpu::Buffer;")), "knows wgpu");
    assert_finds(rule_complaints(&core("pollster::block_on(f())")), "cannot block");
    assert_finds(rule_complaints(&core("use std::time::{Duration, Instant};")), "web_time");
    assert_finds(rule_complaints(&core("eprintln!(\"hm\");")), "alone writes");
    assert_finds(rule_complaints(&core("std::thread::spawn(f)")), "a browser has none");
    assert!(rule_complaints(&File::new("src/cli/progress.rs", "println!()")).is_empty());

    for line in ["use std::collections::HashMap;", "let t = std::time::Duration::ZERO;", "use rayon::prelude::*;"] {
        assert_finds(core_complaints(&core(line)), "is pure");
    }
    assert!(core_complaints(&core("use std::collections::BTreeMap;\npub use self::request::Request;")).is_empty());
}
