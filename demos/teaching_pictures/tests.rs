//! What the documentation shows is what the program draws.

use super::{pictures, shown};
use std::fs;

#[test]
fn pictures_in_the_documentation_are_current() {
    for (name, text) in pictures() {
        let committed = fs::read_to_string(shown().join(name)).unwrap_or_default();
        assert_eq!(
            committed, text,
            "docs/images/{name} is stale: cargo run --release --example teaching_pictures draws it again"
        );
    }
}

#[test]
fn pictures_are_small_and_ask_for_nothing_else() {
    for (name, text) in pictures() {
        assert!(text.len() < 30_000, "{name} has {} bytes", text.len());
        let links = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http") && !links.contains("@import"), "{name}");
    }
}
