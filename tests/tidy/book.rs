//! docs/ is a book: every page is in its contents, every link leads somewhere, and code that is quoted is there.

use crate::{File, assert_finds, exists, file, files, prose, report};
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

const CONTENTS: &str = "docs/SUMMARY.md";
/// What a test cannot type: it asks for a terminal. Its own tests run it without.
const FOR_A_TERMINAL: &str = "cargo run --release --example interactive_demo";

/// Links and pictures of a page that do not lead to a file of the repository. Those to the outside are not followed.
fn link_complaints(page: &File) -> Vec<String> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_outside = |link: &str| link.contains("://") || link.starts_with('#') || link.starts_with("mailto:");
    let complaint = |link: &str| {
        let path = resolve(folder, link.split('#').next().unwrap_or(link));
        let leads_nowhere = !is_outside(link) && path.as_ref().is_none_or(|path| !exists(path));
        leads_nowhere.then(|| format!("{}: the link to {link} leads nowhere", page.path))
    };
    links(&page.text).iter().filter_map(|link| complaint(link)).collect()
}

/// A path from the root of the repository. `None` if it leads out of it.
fn resolve(folder: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn links(markdown: &str) -> Vec<String> {
    let link = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    Parser::new(markdown).filter_map(link).collect()
}

/// Pages that a reader of the book never gets to see, and entries of which there is no page.
fn contents_complaints(contents: &str, pages: &[String]) -> Vec<String> {
    let listed: Vec<String> = links(contents).iter().map(|link| format!("docs/{link}")).collect();
    let missing = pages.iter().filter(|page| *page != CONTENTS && !listed.contains(page));
    let mut complaints: Vec<_> = missing.map(|page| format!("{CONTENTS}: {page} is missing")).collect();
    let unknown = listed.iter().filter(|page| !pages.contains(page));
    complaints.extend(unknown.map(|page| format!("{CONTENTS}: there is no {page}")));
    complaints
}

/// In blocks of kind `diff`, lines to be taken away must stand in the file that `--- ` names.
fn diff_complaints(page: &File) -> Vec<String> {
    let mut complaints = Vec::new();
    for diff in blocks(&page.text, "diff") {
        let mut source = None;
        for line in diff.lines() {
            if let Some(path) = line.strip_prefix("--- ") {
                source = exists(path).then(|| file(path));
            } else if let Some(old) = line.strip_prefix('-') {
                let stands = source.as_ref().is_some_and(|source| source.text.lines().any(|line| line == old));
                complaints.extend((!stands).then(|| format!("{}: no such line to change: {}", page.path, old.trim())));
            }
        }
    }
    complaints
}

/// The code blocks of a language.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) if &*kind == language => {
                is_inside = true;
                found.push(String::new());
            }
            Event::End(TagEnd::CodeBlock) => is_inside = false,
            Event::Text(text) if is_inside => found.last_mut().into_iter().for_each(|block| block.push_str(&text)),
            _ => {}
        }
    }
    found
}

/// `cargo run` in a block that no test runs: neither a `console` block, nor word for word in .ci/run, nor with a word in
/// capitals that the reader is to replace.
fn unrun_complaints(page: &File, ci: &str) -> Vec<String> {
    let is_placeholder = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    let is_run = |line: &str| ci.lines().any(|stage| stage.ends_with(line)) || line.split(' ').any(is_placeholder);
    let plain = ["", "text", "sh", "bash"].map(|language| blocks(&page.text, language)).concat().join("\n");
    let unrun = plain.lines().map(|line| line.trim_start_matches("$ ")).filter(|line| line.starts_with("cargo run"));
    let complaint = |line| format!("{}: nothing runs `{line}`: put it into a console block, after `$ `", page.path);
    unrun.filter(|line| *line != FOR_A_TERMINAL && !is_run(line)).map(complaint).collect()
}

#[test]
fn every_page_is_in_the_contents() {
    let pages: Vec<String> = files("docs", "md").into_iter().map(|page| page.path).collect();
    report(contents_complaints(&file(CONTENTS).text, &pages));
    let book = file("book.toml").text;
    assert!(book.contains("src = \"docs\""), "book.toml: the pages are in docs");
}

#[test]
fn links_lead_somewhere() {
    report(prose().iter().flat_map(link_complaints).collect());
}

#[test]
fn lines_to_change_are_there() {
    report(prose().iter().flat_map(diff_complaints).collect());
}

#[test]
fn every_run_is_run_by_a_test() {
    let ci = file(".ci/run").text;
    report(prose().iter().flat_map(|page| unrun_complaints(page, &ci)).collect());
}

#[test]
fn the_rules_find_what_they_are_for() {
    let page = |text| File::new("docs/learning_materials/page.md", text);
    assert_finds(link_complaints(&page("[a](../no_such_page.md)")), "no_such_page.md leads nowhere");
    assert_finds(link_complaints(&page("![a](../../../../a.svg)")), "a.svg leads nowhere");
    assert!(link_complaints(&page("[a](../glossary.md#words) [b](https://a.b/c) `[c](d)`")).is_empty());
    let pages = ["docs/a.md", "docs/b.md", CONTENTS].map(String::from);
    assert_finds(contents_complaints("- [A](a.md)", &pages), "docs/b.md is missing");
    assert_finds(contents_complaints("- [A](a.md)\n- [B](b.md)\n- [C](c.md)", &pages), "there is no docs/c.md");
    assert_finds(diff_complaints(&page("```diff\n--- src/lib.rs\n-pub mod nothing;\n+x\n```")), "pub mod nothing;");
    assert!(diff_complaints(&page("```diff\n--- src/lib.rs\n-pub mod core;\n+x\n```")).is_empty());
    assert_finds(unrun_complaints(&page("```\ncargo run --release -- chat\n```"), ""), "nothing runs");
    let ci = "stage \"generate\" cargo run --release -- generate";
    let run = page("```\ncargo run --release -- generate\ncargo run --release -- chat --model DIR\n```");
    assert!(unrun_complaints(&run, ci).is_empty());
}
