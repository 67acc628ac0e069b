//! One name for one kernel, everywhere; and every test, bench and demo is run.

use crate::{File, assert_finds, entries, exists, file, files, report};
use cb_lab::backend::gpu::Kernel;
use regex::Regex;
use std::collections::BTreeSet;

/// Files beside the twins that are none.
const TWIN_HELPERS: [(&str, &str); 11] = [
    ("calibrate", "what the CPU can do at best"),
    ("mod", "the CPU backend, which calls the twins"),
    ("attend", "what the two attention twins share"),
    ("dense_attention", "the oracle of the attention twins"),
    ("naive", "what the two twins of linears share"),
    ("query_rows", "what attention is asked for, and where K and V lie"),
    ("kv_head", "heads of K and V as they lie in a pool"),
    ("softmax", "scores become weights"),
    ("exp", "the exponential function of twins and fast kernels"),
    ("row_sum", "the order of additions of a row"),
    ("options", "what the backend is opened with"),
];
/// What several kernels share: functions at their end, and how the CPU is fast.
const SHARED: [&str; 2] = ["shaders/shared/", "src/backend/cpu/fast/"];
/// Files beside the pair tests that are none.
const TEST_HELPERS: [(&str, &str); 8] = [
    ("main", "collects the trials"),
    ("harness", "runs a case on twin and GPU"),
    ("attention", "what the two attention tests share"),
    ("layouts", "params structs in Rust and in WGSL"),
    ("mutants", "faults that the cases must catch"),
    ("teams", "attention as larger subgroups run it"),
    ("translate", "every variant in every shading language"),
    ("tuning", "what must change no bit"),
];

type Names = BTreeSet<String>;

fn stems(folder: &str, extension: &str, helpers: &[(&str, &str)]) -> Names {
    let is_helper = |stem: &str| helpers.iter().any(|(helper, _)| *helper == stem);
    let files =
        files(folder, extension).into_iter().filter(|file| !SHARED.iter().any(|folder| file.path.starts_with(folder)));
    let stems = files.map(|file| file.stem().to_owned());
    stems.filter(|stem| !is_helper(stem)).collect()
}

/// The methods of a trait that take a kernel's params.
fn kernel_methods(text: &str) -> Names {
    let method = Regex::new(r"fn (\w+)\(\s*&mut self,\s*p: \w+Params,").expect("a regex");
    method.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// Every name must be in every list.
fn differences(lists: &[(&str, Names)]) -> Vec<String> {
    let all: Names = lists.iter().flat_map(|(_, names)| names.clone()).collect();
    let missing = |name: &String| {
        let without: Vec<_> = lists.iter().filter(|(_, names)| !names.contains(name)).map(|(list, _)| *list).collect();
        let complaint = format!(
            "{name} is missing in: {}. A kernel has one name everywhere; a file that is no kernel goes on the list of \
             helpers in tests/tidy/names.rs, with its reason",
            without.join(", ")
        );
        (!without.is_empty()).then_some(complaint)
    };
    all.iter().filter_map(missing).collect()
}

/// The comment at the top of a kernel names its twin and its test; a faster version names those of its naive version.
fn header_complaints(kernel: &File) -> Vec<String> {
    let header: Vec<_> = kernel.text.lines().take_while(|line| line.starts_with("//")).collect();
    let header = header.join("\n");
    let version = Kernel::ALL.into_iter().find(|version| version.source().name == kernel.stem());
    let stem = version.map_or(kernel.stem(), |version| version.naive().source().name);
    let wanted = [format!("Twin: src/backend/cpu/{stem}.rs"), format!("Test: tests/kernels/{stem}.rs")];
    let missing = wanted.into_iter().filter(|wanted| !header.contains(wanted));
    missing.map(|wanted| format!("{}: write `{wanted}` into the comment at its top", kernel.path)).collect()
}

/// With `autotests = false` and its like, a file that Cargo.toml does not name is silently never run.
fn unregistered(manifest: &str, paths: &[String]) -> Vec<String> {
    let missing = paths.iter().filter(|path| {
        let name = path.trim_end_matches("/main.rs").trim_end_matches(".rs").rsplit('/').next().unwrap_or_default();
        let default_path = path.starts_with("benches/") && manifest.contains(&format!("name = \"{name}\""));
        !default_path && !manifest.contains(&format!("path = \"{path}\""))
    });
    missing.map(|path| format!("{path} is never run: name it in Cargo.toml")).collect()
}

/// Tests inside a demo are not run either, unless its target says so.
fn demos_without_tests(manifest: &str, demos: &[File]) -> Vec<String> {
    let is_off = |folder: &str| {
        let target = manifest.split("[[").find(|target| target.contains(&format!("path = \"{folder}/main.rs\"")));
        !target.is_some_and(|target| target.contains("test = true"))
    };
    let tested = demos.iter().filter(|file| file.text.contains("#[test]"));
    let folders = tested.filter_map(|file| file.path.rsplit_once('/'));
    let silent = folders.filter(|(folder, _)| is_off(folder));
    silent.map(|(folder, name)| format!("{folder}/{name} is never run: give the example `test = true`")).collect()
}

#[test]
fn kernel_twin_test_and_method_have_one_name() {
    let is_naive = |kernel: &&Kernel| kernel.naive() == **kernel;
    let table = Kernel::ALL.iter().filter(is_naive).map(|kernel| kernel.source().name.to_owned()).collect();
    let versions: Vec<_> = Kernel::ALL
        .iter()
        .filter(|kernel| !is_naive(kernel))
        .map(|kernel| (kernel.source().name, "a faster version"))
        .collect();
    report(differences(&[
        ("shaders/*.wgsl", stems("shaders", "wgsl", &versions)),
        ("src/backend/cpu/*.rs", stems("src/backend/cpu", "rs", &TWIN_HELPERS)),
        ("tests/kernels/*.rs", stems("tests/kernels", "rs", &TEST_HELPERS)),
        ("trait Backend", kernel_methods(&file("src/backend/mod.rs").text)),
        ("Kernel::ALL", table),
    ]));
    let helpers = [("src/backend/cpu", &TWIN_HELPERS[..]), ("tests/kernels", &TEST_HELPERS[..])];
    for (folder, helpers) in helpers {
        for (helper, _) in helpers {
            assert!(exists(&format!("{folder}/{helper}.rs")), "{folder}/{helper}.rs is gone: take it off the list");
        }
    }
}

#[test]
fn a_kernel_names_its_twin_and_its_test() {
    let shaders =
        files("shaders", "wgsl").into_iter().filter(|file| !SHARED.iter().any(|folder| file.path.starts_with(folder)));
    report(shaders.flat_map(|kernel| header_complaints(&kernel)).collect());
}

#[test]
fn every_target_is_run() {
    let is_main = |path: &String| path.ends_with("/main.rs") || path.matches('/').count() == 1;
    let targets = ["tests", "benches", "demos"].into_iter().flat_map(|folder| files(folder, "rs"));
    let paths: Vec<_> = targets.map(|file| file.path).filter(is_main).collect();
    report(unregistered(&file("Cargo.toml").text, &paths));
    report(demos_without_tests(&file("Cargo.toml").text, &files("demos", "rs")));
    // What is data, and what several tests share.
    let is_no_target = |name: &String| name.contains('.') || name == "fixtures" || name == "common";
    for folder in entries("tests").iter().filter(|name| !is_no_target(name)) {
        assert!(exists(&format!("tests/{folder}/main.rs")), "tests/{folder} has no main.rs: nothing there is run");
    }
}

#[test]
fn the_rules_find_what_they_are_for() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    assert_finds(
        differences(&[("twins", names(&["rope"])), ("tests", names(&["rope", "norm"]))]),
        "missing in: twins.",
    );
    let methods = "fn alloc(&mut self, len: usize); fn rope(&mut self, p: RopeParams, x: u32); fn linear(\n&mut self,\n    p: LinearParams,";
    assert_eq!(kernel_methods(methods), names(&["linear", "rope"]));
    let wrong_twin =
        File::new("shaders/rope.wgsl", "// Twin: src/backend/cpu/norm.rs\n\n// Test: tests/kernels/rope.rs");
    assert_eq!(header_complaints(&wrong_twin).len(), 2);
    let paths = ["tests/a/main.rs", "tests/b/main.rs", "benches/c.rs"].map(String::from);
    let tests = [File::new("demos/a/tests.rs", "#[test]"), File::new("demos/b/tests.rs", "#[test]")];
    let manifest = "[[example]]\npath = \"demos/a/main.rs\"\ntest = true\n\n[[example]]\npath = \"demos/b/main.rs\"";
    let complaints = demos_without_tests(manifest, &tests);
    assert_eq!(complaints, ["demos/b/tests.rs is never run: give the example `test = true`"]);
    assert_finds(unregistered("name = \"c\"\npath = \"tests/a/main.rs\"", &paths), "tests/b/main.rs is never run");
}
