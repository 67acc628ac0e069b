//! The README and docs/ speak of what exists.

use crate::{File, assert_finds, exists, file, files, prose, report, rust_files};
use regex::Regex;

/// What the glossary must explain.
const WORDS: [&str; 37] = [
    "sequence",
    "step",
    "step plan",
    "ragged batch",
    "query_len",
    "context_len",
    "seq_len",
    "num_tokens",
    "cu_seqlens_q",
    "block",
    "block_size",
    "block_table",
    "slot",
    "slot_mapping",
    "logit row",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "group",
    "packed row",
    "work item",
    "split",
    "prefill",
    "decode",
    "max_tokens_per_step",
    "prefill_chunk_size",
    "max_num_seqs",
    "max_model_len",
    "max_new_tokens",
    "num_kv_blocks",
    "admission",
    "preemption",
    "watermark",
    "backend",
    "twin",
    "oracle",
    "variant",
];

/// Paths of files, from the root of the repository or from the folder of the text.
fn path_complaints(file: &File) -> Vec<String> {
    let url = Regex::new(r"https?://\S+").expect("a regex");
    let file_name =
        Regex::new(r"[\w.-]+(?:/[\w.-]+)*/[\w.-]+\.(?:rs|wgsl|md|toml|py|jinja|json|svg|html)\b").expect("a regex");
    let folder_name = Regex::new(r"`([\w.-][\w./-]*/)`").expect("a regex");
    let here = file.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let line = url.replace_all(line, "");
        let folders = folder_name.captures_iter(&line).map(|found| found.extract::<1>().1[0]);
        let paths = file_name.find_iter(&line).map(|found| found.as_str()).chain(folders);
        // What commands write goes into target/.
        let missing =
            paths.filter(|path| !path.starts_with("target/") && !exists(path) && !exists(&format!("{here}{path}")));
        complaints.extend(missing.map(|path| format!("{}:{number}: {path} does not exist", file.path)));
    }
    complaints
}

/// Names in inline code, such as `Engine::step` and `rms_norm`: each part must occur in some source.
fn name_complaints(file: &File, sources: &[File]) -> Vec<String> {
    let inline = Regex::new(r"`([A-Za-z_]\w*(?:::\w+)*)(?:\(\))?`").expect("a regex");
    let mut complaints = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for name in inline.captures_iter(line).map(|found| found[1].to_owned()) {
            let is_a_name = name.contains("::") || name.contains('_');
            let is_known = |part: &str| {
                let word = Regex::new(&format!(r"\b{part}\b")).expect("a regex");
                sources.iter().any(|source| word.is_match(&source.text))
            };
            if is_a_name && !name.split("::").all(is_known) {
                complaints.push(format!("{}:{number}: no source has `{name}`", file.path));
            }
        }
    }
    complaints
}

/// Rows of the form `| word | meaning |`, with or without backticks.
fn missing_words(glossary: &str) -> Vec<String> {
    let rows: Vec<_> = glossary.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next()).collect();
    let has_row = |word: &str| rows.iter().any(|row| row.split(',').any(|name| name.trim().trim_matches('`') == word));
    let missing = WORDS.iter().filter(|word| !has_row(word));
    missing.map(|word| format!("docs/glossary.md: a row for `{word}` is missing")).collect()
}

/// A page has one title, and it comes first.
fn title_complaints(file: &File) -> Vec<String> {
    let mut in_block = false;
    let mut num_titles = 0;
    for line in file.text.lines() {
        in_block ^= line.starts_with("```");
        num_titles += usize::from(!in_block && line.starts_with("# "));
    }
    let is_first = file.text.starts_with("# ");
    let complaint = format!("{}: begin with one `# title`, and have no other", file.path);
    (num_titles != 1 || !is_first).then_some(complaint).into_iter().collect()
}

#[test]
fn paths_exist() {
    report(prose().iter().flat_map(path_complaints).collect());
}

#[test]
fn names_exist() {
    let mut sources: Vec<_> = rust_files().into_iter().chain(files("shaders", "wgsl")).collect();
    // This file holds names that do not exist.
    sources.retain(|source| source.path != "tests/tidy/docs.rs");
    sources.push(file("Cargo.toml"));
    report(prose().iter().flat_map(|file| name_complaints(file, &sources)).collect());
}

#[test]
fn the_glossary_explains_every_word() {
    report(missing_words(&file("docs/glossary.md").text));
}

#[test]
fn a_page_has_one_title() {
    report(prose().iter().flat_map(title_complaints).collect());
}

#[test]
fn the_rules_find_what_they_are_for() {
    let page = |text| File::new("docs/page.md", text);
    assert_finds(path_complaints(&page("\nsee src/core/no_such.rs")), "docs/page.md:2: src/core/no_such.rs");
    assert_finds(path_complaints(&page("in `src/nowhere/`")), "src/nowhere/");
    assert!(path_complaints(&page("src/lib.rs, `src/core/`, architecture.md, https://a.b/c/d.md, and/or")).is_empty());
    let sources = [File::new("src/a.rs", "impl Engine { fn step() }")];
    assert_finds(name_complaints(&page("`Engine::walk`"), &sources), "Engine::walk");
    assert_finds(name_complaints(&page("`no_such_name`"), &sources), "no_such_name");
    assert!(name_complaints(&page("`Engine::step()`, `words`"), &sources).is_empty());
    assert_finds(missing_words("| sequence | … |"), "`step`");
    assert_finds(title_complaints(&page("# One\n# Two")), "one `# title`");
    assert!(title_complaints(&page("# One\n```\n# a comment\n```\n## Part")).is_empty());
}
