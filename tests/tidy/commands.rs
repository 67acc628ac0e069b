//! Commands in the README and in docs/ can be typed as they stand.

use crate::{File, assert_finds, file, files, prose, report};
use regex::Regex;
use std::process::Command;

/// What of cargo this repository speaks of.
const CARGO_COMMANDS: [&str; 8] = ["bench", "build", "clippy", "doc", "fmt", "install", "run", "test"];
const CARGO_FLAGS: [&str; 10] = [
    "--all-targets",
    "--bench",
    "--check",
    "--example",
    "--lib",
    "--no-default-features",
    "--no-deps",
    "--path",
    "--release",
    "--test",
];

type Words = Vec<String>;

/// Lines of code blocks, joined where they end in `\`, and inline code: text with the number of its line.
fn code_of(markdown: &str) -> Vec<(usize, String)> {
    let inline = Regex::new("`([^`]+)`").expect("a regex");
    let mut code: Vec<(usize, String)> = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(markdown.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            match code.last_mut() {
                Some((_, begun)) if begun.ends_with('\\') => {
                    begun.pop();
                    begun.push_str(line);
                }
                _ => code.push((number, line.to_owned())),
            }
        } else {
            code.extend(inline.captures_iter(line).map(|span| (number, span[1].to_owned())));
        }
    }
    code
}

/// The words of each command of a line of shell: split at pipes, `&&` and `;`, up to a comment, without redirections.
fn split_shell(line: &str) -> Vec<Words> {
    let word = Regex::new(r#"\|\|?|&&|;|#.*|[<>]\s*\S+|"([^"]*)"|'([^']*)'|[^\s;|]+"#).expect("a regex");
    let mut commands = vec![Words::new()];
    for found in word.captures_iter(line) {
        let text = &found[0];
        match text.chars().next() {
            Some('|' | '&' | ';') => commands.push(Words::new()),
            Some('#') => break,
            Some('<' | '>') => {}
            _ => {
                let unquoted = found.get(1).or(found.get(2)).map_or(text, |inside| inside.as_str());
                commands.last_mut().expect("there is one").push(unquoted.to_owned());
            }
        }
    }
    commands
}

/// All `cargo …` and `cb-lab …`, without variables before them.
fn commands(file: &File) -> Vec<(String, Words)> {
    let mut found = Vec::new();
    for (number, line) in code_of(&file.text) {
        for mut words in split_shell(&line) {
            let num_before = words.iter().take_while(|word| word.contains('=') || *word == "$").count();
            words.drain(..num_before);
            if words.len() > 1 && (words[0] == "cargo" || words[0] == "cb-lab") {
                found.push((format!("{}:{number}", file.path), words));
            }
        }
    }
    found
}

/// What is wrong with the arguments of `cb-lab`, in its own words: with `--help` at the end it checks all before it.
fn refusal_by_cb_lab(args: &[String]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_cb-lab")).args(args).arg("--help").output();
    let output = output.expect("the binary runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// What is wrong with the arguments of `cargo`.
fn refusal_by_cargo(args: &[String]) -> Option<String> {
    let (own, passed_on) = match args.iter().position(|arg| arg == "--") {
        Some(end) => (&args[..end], &args[end + 1..]),
        None => (args, &[][..]),
    };
    if !CARGO_COMMANDS.contains(&own[0].as_str()) {
        return Some(format!("cargo {} is not on the list in tests/tidy/commands.rs", own[0]));
    }
    let manifest = file("Cargo.toml").text;
    for (i, arg) in own.iter().enumerate().filter(|(_, arg)| arg.starts_with('-')) {
        let target = own.get(i + 1).map_or("", String::as_str);
        let kind = arg.trim_start_matches('-');
        let is_target = ["test", "bench", "example"].contains(&kind);
        if !CARGO_FLAGS.contains(&arg.as_str()) {
            return Some(format!("{arg} is not on the list in tests/tidy/commands.rs"));
        }
        if is_target && !manifest.contains(&format!("[[{kind}]]\nname = \"{target}\"")) {
            return Some(format!("Cargo.toml has no [[{kind}]] {target}"));
        }
        if arg == "--test" {
            let sources = files(&format!("tests/{target}"), "rs");
            // The names of trials are put together of parts, as `linear/mutant`.
            let is_known = |part: &str| sources.iter().any(|source| source.text.contains(part));
            let mut filters = passed_on.iter().filter(|filter| !filter.starts_with('-'));
            if let Some(filter) = filters.find(|filter| !filter.split('/').all(is_known)) {
                return Some(format!("no test in tests/{target} has {filter} in its name"));
            }
        }
    }
    match own.iter().position(|arg| arg == "--example") {
        Some(at) => own.get(at + 1).and_then(|example| refusal_by_example(example, passed_on)),
        None if own[0] == "run" => refusal_by_cb_lab(passed_on),
        None => None,
    }
}

/// What is wrong with the arguments of a demo, as far as its source says it: it may not be built yet.
fn refusal_by_example(example: &str, args: &[String]) -> Option<String> {
    let flags = demo_flags(example);
    let mut given = args.iter().filter(|arg| arg.starts_with("--") && *arg != "--help");
    given.find(|arg| !flags.contains(arg)).map(|arg| format!("{example} has no {arg}"))
}

/// The options that a demo's source declares, and the shared ones.
fn demo_flags(example: &str) -> Words {
    let option = Regex::new(r"(?s)#\[arg\(long\b.*?\)\]\s*(?:pub )?(\w+):").expect("a regex");
    let is_its_own = |path: &str| {
        let path = path.trim_start_matches("demos/");
        path.starts_with("common/")
            || path.starts_with(&format!("{example}."))
            || path.starts_with(&format!("{example}/"))
    };
    let sources = files("demos", "rs").into_iter().filter(|source| is_its_own(&source.path));
    let names = |source: File| -> Words {
        option.captures_iter(&source.text).map(|found| format!("--{}", found[1].replace('_', "-"))).collect()
    };
    sources.flat_map(names).collect()
}

fn command_complaints(file: &File) -> Vec<String> {
    let complaint = |(place, words): (String, Words)| {
        let refusal = if words[0] == "cargo" { refusal_by_cargo(&words[1..]) } else { refusal_by_cb_lab(&words[1..]) };
        refusal.map(|why| format!("{place}: `{}` does not work: {}", words.join(" "), why.trim()))
    };
    commands(file).into_iter().filter_map(complaint).collect()
}

/// Inline `--flags` that no command has.
fn flag_complaints(file: &File, help: &str) -> Vec<String> {
    let known = Regex::new(r"--[a-z][a-z-]*").expect("a regex");
    let known: Vec<_> = known.find_iter(help).map(|flag| flag.as_str()).chain(CARGO_FLAGS).collect();
    let flags = code_of(&file.text).into_iter().filter(|(_, code)| code.starts_with("--") && !code.starts_with("---"));
    let unknown = flags.filter(|(_, code)| code.split([' ', '=']).next().is_some_and(|flag| !known.contains(&flag)));
    unknown.map(|(number, code)| format!("{}:{number}: no command has `{code}`", file.path)).collect()
}

fn help() -> String {
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cb-lab")).args(command.split(' ')).arg("--help").output();
        String::from_utf8_lossy(&output.expect("the binary runs").stdout).into_owned()
    };
    let demos = files("demos", "rs").into_iter().flat_map(|demo| demo_flags(demo.stem()));
    let benches =
        ["calibrate", "attention", "linear", "model", "throughput", "quality"].map(|name| format!("bench {name}"));
    let commands = ["generate", "devices", "chat"].into_iter().chain(benches.iter().map(String::as_str));
    commands.map(help).chain(demos).collect::<Vec<_>>().join("\n")
}

#[test]
fn commands_can_be_typed_as_they_stand() {
    report(prose().iter().flat_map(command_complaints).collect());
}

#[test]
fn flags_exist() {
    let help = help();
    report(prose().iter().flat_map(|file| flag_complaints(file, &help)).collect());
}

#[test]
fn the_two_first_commands_are_in_the_readme() {
    let readme = commands(&file("README.md"));
    for wanted in ["cargo run --release -- generate", "cargo test --release"] {
        assert!(readme.iter().any(|(_, words)| words.join(" ") == wanted), "README.md: `{wanted}` is missing");
    }
    let ci = file(".ci/run").text;
    assert!(ci.lines().any(|line| line.trim().starts_with("cargo test --release 2>&1")), ".ci/run: runs other tests");
}

#[test]
fn the_rules_find_what_they_are_for() {
    let complaints = |code: &str| command_complaints(&File::new("README.md", &format!("```\n{code}\n```\n")));
    assert_finds(complaints("cargo run --release -- generat"), "README.md:2");
    assert_finds(complaints("cb-lab generate --max-tokens 3"), "--max-tokens");
    assert_finds(complaints("$ cb-lab generate --top-k many | head"), "many");
    assert_finds(complaints("CB_LAB_GPU=skip cargo test --release --test no_such_test"), "no [[test]] no_such_test");
    assert_finds(complaints("cargo test --release --test properties -- no_such_case"), "no_such_case");
    assert_finds(complaints("cb-lab generate \\\n  --max-tokens 3"), "--max-tokens");
    assert_finds(complaints("cargo deploy"), "not on the list");
    assert_finds(complaints("cargo run --release --example demo_ragged_mask -- --blocks 3"), "has no --blocks");
    assert!(complaints("cargo run --release --example demo_ragged_mask -- --block-size 1").is_empty());
    assert!(complaints("echo '{}' | cb-lab generate \"two words\" --prompts - > out.jsonl # comment").is_empty());
    let inline = File::new("docs/a.md", "Say `--tempreature 1`, or `cb-lab devises`.");
    assert_finds(flag_complaints(&inline, "--temperature <T>"), "--tempreature");
    assert_finds(command_complaints(&inline), "devises");
}
