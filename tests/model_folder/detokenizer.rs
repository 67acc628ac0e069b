//! Streaming: the pieces put together are what decoding everything at once gives, for any tokens whatever.

use std::sync::LazyLock;

use cb_lab::text::{Detokenizer, Tokenizer};
use proptest::prelude::*;

use crate::{FIXTURES, entries, fixture, folder_of, golden, ids};

static TOKENIZERS: LazyLock<Vec<Tokenizer>> =
    LazyLock::new(|| FIXTURES.iter().map(|name| Tokenizer::open(&fixture(name)).unwrap()).collect());

/// The pieces of `ids`; the last is what `finish` returned.
fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    let mut detokenizer = Detokenizer::default();
    let mut pieces: Vec<String> = ids.iter().map(|id| detokenizer.push(tokenizer, *id).unwrap()).collect();
    pieces.push(detokenizer.finish(tokenizer).unwrap());
    pieces
}

#[test]
fn golden_texts_stream_without_replacement_characters() {
    for (tokenizer, name) in TOKENIZERS.iter().zip(FIXTURES) {
        for case in entries(&golden(name), "tokenizer_cases") {
            let decoded = case["decoded"].as_str().unwrap();
            let pieces = pieces(tokenizer, &ids(&case["ids_with_special"]));
            assert_eq!(pieces.concat(), decoded, "{name}");
            let stray = pieces.iter().any(|piece| piece.contains('\u{FFFD}')) && !decoded.contains('\u{FFFD}');
            assert!(!stray, "{name}: {pieces:?}");
        }
    }
}

#[test]
fn a_character_of_several_tokens_comes_out_whole() {
    // The byte-level vocabulary has no merge for it: four tokens, the last of which completes it.
    let tokenizer = &TOKENIZERS[4];
    let ids = tokenizer.encode_rendered("a𝄞b").unwrap();
    let pieces = pieces(tokenizer, &ids);
    assert!(ids.len() > 3, "{ids:?}");
    assert_eq!(pieces.iter().filter(|piece| !piece.is_empty()).collect::<Vec<_>>(), ["a", "𝄞", "b"]);
}

#[test]
fn an_unfinished_character_comes_out_at_the_end_as_a_replacement() {
    for tokenizer in [&TOKENIZERS[0], &TOKENIZERS[4]] {
        let mut ids = tokenizer.encode_rendered("a𝄞").unwrap();
        ids.pop();
        let pieces = pieces(tokenizer, &ids);
        let (last, before) = pieces.split_last().unwrap();
        assert_eq!(before.concat(), "a");
        assert!(!last.is_empty() && last.chars().all(|char| char == '\u{FFFD}'), "{last:?}");
    }
}

#[test]
fn a_space_after_a_special_token_inside_the_text_is_kept() {
    let tokenizer = &TOKENIZERS[0];
    let mut ids = tokenizer.encode("Hello").unwrap();
    let begin_of_sequence = ids[0];
    ids.push(begin_of_sequence);
    ids.extend(tokenizer.encode_rendered("world").unwrap());
    assert_eq!(pieces(tokenizer, &ids).concat(), "Hello world");
}

/// The text of an output that continues a prompt.
fn continued(tokenizer: &Tokenizer, prompt: &[u32], output: &[u32]) -> String {
    let mut detokenizer = Detokenizer::after(tokenizer, prompt).unwrap();
    let pieces: Vec<String> = output.iter().map(|id| detokenizer.push(tokenizer, *id).unwrap()).collect();
    pieces.concat() + &detokenizer.finish(tokenizer).unwrap()
}

#[test]
fn an_output_continues_its_prompt() {
    for tokenizer in TOKENIZERS.iter() {
        for prompt in ["The capital of France is", "a", "你好", "🙂 ", "x 𝄞"] {
            for output in [" Paris and", "Paris", "  two spaces", " 🙂", "𝄞"] {
                let prompt = tokenizer.encode(prompt).unwrap();
                // The ids of a text that something precedes, not of one that begins.
                let output = tokenizer.encode_rendered(&format!("a{output}")).unwrap();
                let before = tokenizer.decode(&prompt).unwrap();
                for begin in 1..output.len() {
                    let (before_ids, output) = ([&prompt[..], &output[..begin]].concat(), &output[begin..]);
                    let whole = tokenizer.decode(&[&before_ids[..], output].concat()).unwrap();
                    let already = tokenizer.decode(&before_ids).unwrap();
                    if !already.ends_with('\u{FFFD}') {
                        assert!(already.starts_with(&before));
                        assert_eq!(
                            continued(tokenizer, &before_ids, output),
                            whole[already.len()..],
                            "{before_ids:?} {output:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn tokens_that_decode_to_nothing_are_no_context() {
    // A decoder that drops two leading spaces: the lone space below would be dropped together with the next.
    let json = String::from_utf8(fixture("llama").read("tokenizer.json").unwrap()).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["decoder"]["decoders"][3]["start"] = 2.into();
    let (_directory, folder) = folder_of(&[("tokenizer.json", json.to_string().as_bytes())]);
    let tokenizer = Tokenizer::open(&folder).unwrap();
    let word = tokenizer.encode_rendered("a").unwrap();
    let space = tokenizer.encode_rendered(" ").unwrap();
    let ids = [&word[..], &space, &word, &word].concat();
    assert_eq!(pieces(&tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap(), "{ids:?}");
}

#[test]
fn a_word_is_not_held_back_until_the_next() {
    for tokenizer in TOKENIZERS.iter() {
        let ids = tokenizer.encode("plain words").unwrap();
        let pieces = pieces(tokenizer, &ids);
        assert_eq!(pieces.last().unwrap(), "", "{pieces:?}");
        assert!(pieces.iter().filter(|piece| !piece.is_empty()).count() > 2, "{pieces:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pieces_concatenate_to_the_whole(model in 0..FIXTURES.len(), ids in prop::collection::vec(0u32..420, 0..40)) {
        let tokenizer = &TOKENIZERS[model];
        prop_assert_eq!(pieces(tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap());
    }

    /// Low ids are the bytes and special tokens of most vocabularies: here they come in runs.
    #[test]
    fn bytes_concatenate_to_the_whole(model in 0..FIXTURES.len(), ids in prop::collection::vec(0u32..260, 0..40)) {
        let tokenizer = &TOKENIZERS[model];
        prop_assert_eq!(pieces(tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap());
    }

    #[test]
    fn texts_come_back(model in 0..FIXTURES.len(), text in "\\PC{0,20}") {
        let tokenizer = &TOKENIZERS[model];
        let ids = tokenizer.encode_rendered(&text).unwrap();
        prop_assert_eq!(pieces(tokenizer, &ids).concat(), tokenizer.decode(&ids).unwrap());
    }
}
