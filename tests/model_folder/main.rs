//! A model folder, read: every form a checkpoint comes in, and every way in which one can be wrong.
//!
//! Expected ids, texts and prompts come from transformers (`golden.json` of each fixture).

mod architectures;
mod chat_template;
mod config;
mod detokenizer;
mod jinja_goldens;
mod jinja_limits;
mod messages;
mod patterns;
mod rope;
mod stop;
mod token_files;
mod tokenizer;
mod weights;

use std::path::{Path, PathBuf};

use cb_lab::model::ModelFolder;
use serde_json::Value;

/// The small models under tests/fixtures.
const FIXTURES: [&str; 9] = ["llama", "llama3", "mistral", "phi3", "qwen2", "qwen3", "smollm2", "smollm3", "yarn"];

fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn fixture(name: &str) -> ModelFolder {
    ModelFolder::open(fixture_path(name)).unwrap()
}

/// What transformers made of a fixture.
fn golden(name: &str) -> Value {
    serde_json::from_slice(&fixture(name).read("golden.json").unwrap()).unwrap()
}

/// The entries of a list in golden.json.
fn entries<'a>(golden: &'a Value, key: &str) -> &'a [Value] {
    golden[key].as_array().unwrap_or_else(|| panic!("golden.json has no list {key}"))
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A folder that holds `files`, for as long as the first value lives.
fn folder_of(files: &[(&str, &[u8])]) -> (tempfile::TempDir, ModelFolder) {
    let directory = tempfile::tempdir().unwrap();
    for (name, contents) in files {
        std::fs::write(directory.path().join(name), contents).unwrap();
    }
    let folder = ModelFolder::open(directory.path()).unwrap();
    (directory, folder)
}

/// Fails unless the message of `result`'s error holds every one of `parts`.
#[track_caller]
fn assert_refused<T>(result: cb_lab::Result<T>, parts: &[&str]) {
    let message = match result {
        Ok(_) => panic!("accepted, and should have been refused with {parts:?}"),
        Err(error) => error.to_string(),
    };
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

#[test]
fn a_folder_that_is_not_there_or_no_folder_is_named() {
    assert_refused(ModelFolder::open("no/such/folder"), &["no/such/folder", "cannot read"]);
    let file = fixture_path("llama").join("config.json");
    assert_refused(ModelFolder::open(&file), &["config.json", "a model is a folder"]);
}

#[test]
fn a_missing_file_is_named_and_no_name_leads_out_of_the_folder() {
    let (_directory, folder) = folder_of(&[]);
    assert_refused(folder.read("config.json"), &["config.json", "cannot read"]);
    assert!(folder.read_optional("config.json").unwrap().is_none());
    for name in ["../llama/config.json", "/etc/hostname", "a/b", "..", "", "c:\\x"] {
        assert_refused(fixture("qwen2").read(name), &["named without any folder"]);
    }
}

#[test]
fn an_embedded_folder_reads_like_one_on_disk() {
    let folder = ModelFolder::embedded("tiny", &[("a.txt", b"alpha"), ("b.txt", b"")]);
    assert_eq!(folder.read("a.txt").unwrap(), b"alpha");
    assert_eq!(folder.read_optional("b.txt").unwrap().unwrap(), b"");
    assert!(folder.read_optional("c.txt").unwrap().is_none());
    assert!(folder.contains("a.txt") && !folder.contains("c.txt"));
    assert_refused(folder.read("c.txt"), &["tiny", "c.txt"]);
}
