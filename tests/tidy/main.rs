//! Rules about the source itself, each with a message that says what to do. A rule that is no test is no rule.
//!
//! Every rule is a function from text to complaints, so that each has an example of what it must catch.

mod book;
mod circles;
mod commands;
mod dependencies;
mod docs;
mod imports;
mod names;
mod sizes;
mod source;

use std::fs;
use std::path::Path;

/// A file of the repository.
pub struct File {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl File {
    /// A file, or an example of one.
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The name without folder and extension.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }

    /// Numbered lines without `//` comments. A `//` inside a string cuts that line short, which no rule minds.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One file.
pub fn file(path: &str) -> File {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    File::new(path, &text)
}

/// Whether the repository has such a file or folder.
pub fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// All files in a folder and those below it whose names end in `.extension`, in order. None if there is no such folder.
pub fn files(folder: &str, extension: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for name in entries(&folder) {
            let path = format!("{folder}/{name}");
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.ends_with(&format!(".{extension}")) {
                found.push(file(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The names in a folder. None if there is no such folder.
pub fn entries(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every Rust file of the repository.
pub fn rust_files() -> Vec<File> {
    ["src", "tests", "benches", "demos"].into_iter().flat_map(|folder| files(folder, "rs")).collect()
}

/// The README and all that is in docs/.
pub fn prose() -> Vec<File> {
    let mut prose = vec![file("README.md")];
    prose.extend(files("docs", "md"));
    prose
}

/// Fails with all complaints, if there are any.
#[track_caller]
pub fn report(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

/// A rule must find something in an example of what it is there for.
#[track_caller]
pub fn assert_finds(complaints: Vec<String>, part: &str) {
    assert!(complaints.iter().any(|complaint| complaint.contains(part)), "{part:?} is not in {complaints:?}");
}
