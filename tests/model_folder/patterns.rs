//! Patterns that split text, against Oniguruma, for which they were written: the same pieces, or refused by name.

use cb_lab::text::Tokenizer;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

use crate::{assert_refused, folder_of};

/// Patterns that Oniguruma takes and this engine refuses.
const MOST_REFUSED: usize = 40;

#[derive(Deserialize)]
struct Goldens {
    texts: Vec<String>,
    /// A pattern, and the lengths of the pieces of each text.
    cases: Vec<(String, Option<Vec<Vec<usize>>>)>,
}

fn pieces<'text>(text: &'text str, lens: &[usize]) -> Vec<&'text str> {
    let mut rest = text;
    let mut cut = |len: &usize| {
        let (piece, after) = rest.split_at(rest.char_indices().nth(*len).map_or(rest.len(), |(at, _)| at));
        rest = after;
        piece
    };
    lens.iter().map(&mut cut).collect()
}

/// A tokenizer whose words are the pieces: another split gives other ids.
fn tokenizer(pattern: &str, vocab: &BTreeMap<&str, u32>) -> cb_lab::Result<Tokenizer> {
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    });
    let (_directory, folder) = folder_of(&[("tokenizer.json", json.to_string().as_bytes())]);
    Tokenizer::open(&folder)
}

#[test]
fn texts_are_split_as_by_oniguruma() {
    let goldens: Goldens = serde_json::from_str(include_str!("patterns.json")).unwrap();
    let mut refused = Vec::new();
    for (pattern, splits) in &goldens.cases {
        let splits = splits.as_ref().map_or(&[][..], |splits| splits);
        let split: Vec<Vec<&str>> = goldens.texts.iter().zip(splits).map(|(text, lens)| pieces(text, lens)).collect();
        let words = split.iter().flatten().copied().filter(|word| *word != "<unk>");
        let mut vocab: BTreeMap<&str, u32> = words.zip(1..).collect();
        vocab.insert("<unk>", 0);
        match tokenizer(pattern, &vocab) {
            Ok(tokenizer) => {
                for (text, pieces) in goldens.texts.iter().zip(&split) {
                    let expected: Vec<u32> = pieces.iter().map(|piece| vocab[piece]).collect();
                    assert_eq!(tokenizer.encode(text).unwrap(), expected, "{pattern}: {pieces:?}");
                }
            }
            Err(error) => {
                assert!(error.to_string().contains("tokenizer.json"), "{error}");
                refused.push(pattern);
            }
        }
    }
    assert!(refused.len() <= MOST_REFUSED, "{} are refused: {refused:?}", refused.len());
}

#[test]
fn a_pattern_that_cannot_be_had_is_named() {
    let vocab = BTreeMap::from([("<unk>", 0)]);
    let cases = [
        (r"\X+", r"\X means something else in Oniguruma"),
        (r"[a-z&&[^e]]", "&& in a class"),
        (r"(?m:.+)", "(?m"),
        (r"[[:punct:]]", "[:punct:]"),
        (r"(?i:straße)", "one character can stand for"),
        (r"(?i:first)", "one character can stand for"),
        (r"\p{N}{,2}", "{,2}"),
    ];
    for (pattern, what) in cases {
        let quoted = format!("{pattern:?}");
        assert_refused(tokenizer(pattern, &vocab), &["tokenizer.json: pre_tokenizer: the pattern", &quoted, what]);
    }
}
