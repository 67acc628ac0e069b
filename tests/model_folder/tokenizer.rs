//! Tokenizers against transformers' ids and texts.

use cb_lab::model::ModelFolder;
use cb_lab::text::Tokenizer;

use crate::{FIXTURES, assert_refused, entries, fixture, folder_of, golden, ids};

fn json_of(name: &str) -> serde_json::Value {
    serde_json::from_slice(&fixture(name).read("tokenizer.json").unwrap()).unwrap()
}

#[test]
fn ids_and_texts_are_those_of_the_reference() {
    for name in FIXTURES {
        let tokenizer = Tokenizer::open(&fixture(name)).unwrap();
        let golden = golden(name);
        let cases = entries(&golden, "tokenizer_cases");
        assert!(cases.len() > 10, "{name} has only {} cases", cases.len());
        for case in cases {
            let text = case["text"].as_str().unwrap();
            assert_eq!(tokenizer.encode_rendered(text).unwrap(), ids(&case["ids"]), "{name}: {text:?}");
            let with_special = ids(&case["ids_with_special"]);
            assert_eq!(tokenizer.encode(text).unwrap(), with_special, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&with_special).unwrap(), case["decoded"], "{name}: {text:?}");
        }
    }
}

#[test]
fn an_unknown_id_is_no_text() {
    let tokenizer = Tokenizer::open(&fixture("llama3")).unwrap();
    let vocab_size = tokenizer.vocab_size() as u32;
    assert_eq!(vocab_size, 384);
    assert_eq!(tokenizer.decode(&[vocab_size, u32::MAX]).unwrap(), "");
}

#[test]
fn saved_padding_and_truncation_are_ignored() {
    let json = String::from_utf8(fixture("qwen3").read("tokenizer.json").unwrap()).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    let strategy = serde_json::json!({"Fixed": 64});
    json["padding"] = serde_json::json!({
        "strategy": strategy, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "!",
    });
    let (_directory, folder) = folder_of(&[("tokenizer.json", json.to_string().as_bytes())]);
    let plain = Tokenizer::open(&fixture("qwen3")).unwrap().encode("one two three").unwrap();
    assert_eq!(Tokenizer::open(&folder).unwrap().encode("one two three").unwrap(), plain);
}

/// With it, ids would be another in every run.
#[test]
fn dropout_is_switched_off() {
    let mut json = json_of("qwen3");
    json["model"]["dropout"] = 0.5.into();
    let (_directory, folder) = folder_of(&[("tokenizer.json", json.to_string().as_bytes())]);
    let text = "one two three, and the whole of the forest";
    let plain = Tokenizer::open(&fixture("qwen3")).unwrap().encode(text).unwrap();
    for _ in 0..20 {
        assert_eq!(Tokenizer::open(&folder).unwrap().encode(text).unwrap(), plain);
    }
}

#[test]
fn a_missing_or_broken_tokenizer_is_named() {
    let (_directory, empty) = folder_of(&[]);
    assert_refused(Tokenizer::open(&empty), &["cannot read", "tokenizer.json"]);
    let broken = |json: &'static [u8]| {
        let files: &'static [(&'static str, &'static [u8])] = Box::leak(Box::new([("tokenizer.json", json)]));
        Tokenizer::open(&ModelFolder::embedded("tiny", files))
    };
    assert_refused(broken(b"{}"), &["tiny", "tokenizer.json", "not a tokenizer"]);
    assert_refused(broken(b"\xff"), &["tokenizer.json", "not a JSON object"]);
}

/// tokenizers panics in both cases.
#[test]
fn a_tokenizer_that_makes_the_library_panic_is_refused() {
    let json = String::from_utf8(fixture("llama3").read("tokenizer.json").unwrap()).unwrap();
    let folder = |json: &str| folder_of(&[("tokenizer.json", json.as_bytes())]);

    let decoder = json.find("\"decoder\"").expect("it has a decoder");
    let space = "\"add_prefix_space\": true,";
    let begin = decoder + json[decoder..].find(space).expect("its decoder has it") + space.len();
    let (_directory, broken) = folder(&format!("{}{{{}", &json[..begin], &json[begin..]));
    assert_refused(Tokenizer::open(&broken), &["tokenizer.json", "not JSON"]);

    let mut json: serde_json::Value = serde_json::from_str(&json).unwrap();
    json["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[nowhere]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {},
    });
    let (_directory, lacking) = folder(&json.to_string());
    let encoded = Tokenizer::open(&lacking).and_then(|tokenizer| tokenizer.encode("once"));
    assert_refused(encoded, &["tokenizer", "panicked"]);
}
