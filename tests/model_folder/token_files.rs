//! The files beside tokenizer.json, against transformers: ids, texts and the names in templates.

use cb_lab::text::{ChatTemplate, Message, Tokenizer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::{assert_refused, fixture, folder_of};

#[derive(Deserialize)]
struct Goldens {
    texts: Vec<String>,
    /// Writes all names of special tokens.
    template: String,
    cases: Vec<Case>,
}

/// A fixture, whether the tokens of its tokenizer.json are special, the files beside that, the ids and the texts without
/// special tokens of all `texts`, and what the template writes.
#[derive(Deserialize)]
struct Case(String, bool, BTreeMap<String, Value>, Vec<Vec<u32>>, Vec<String>, String);

#[test]
fn tokens_and_names_are_those_of_the_reference() {
    let goldens: Goldens = serde_json::from_str(include_str!("token_files.json")).unwrap();
    assert!(goldens.cases.len() > 150, "only {} cases", goldens.cases.len());
    for Case(name, special, files, ids, texts, rendered) in goldens.cases {
        let mut tokenizer: Value = fixture(&name).read_json("tokenizer.json").unwrap();
        for token in tokenizer["added_tokens"].as_array_mut().unwrap() {
            token["special"] = special.into();
        }
        let tokenizer = tokenizer.to_string();
        let files: Vec<(String, String)> = files.into_iter().map(|(name, json)| (name, json.to_string())).collect();
        let mut contents: Vec<(&str, &[u8])> =
            files.iter().map(|(name, json)| (name.as_str(), json.as_bytes())).collect();
        contents.push(("tokenizer.json", tokenizer.as_bytes()));
        contents.push(("chat_template.jinja", goldens.template.as_bytes()));
        let (_directory, folder) = folder_of(&contents);
        let tokenizer = Tokenizer::open(&folder).unwrap();
        let encoded: Vec<_> = goldens.texts.iter().map(|text| tokenizer.encode(text).unwrap()).collect();
        assert_eq!(encoded, ids, "{name}: {files:?}");
        let decoded: Vec<_> = ids.iter().map(|ids| tokenizer.decode(ids).unwrap()).collect();
        assert_eq!(decoded, texts, "{name}: {files:?}");
        let template = ChatTemplate::open(&folder).unwrap().unwrap();
        let prompt = template.render(&[Message::new("user", "")], false).unwrap();
        assert_eq!(prompt, rendered, "{name}: {files:?}");
    }
}

#[test]
fn a_wrong_token_is_named_with_its_file() {
    let tokenizer = fixture("llama").read("tokenizer.json").unwrap();
    let (config, map, added) = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json");
    let cases = [
        (config, json!({"eos_token": 5}), "eos_token has 5 where a token is expected"),
        (config, json!({"eos_token": {"text": "x"}}), r#"eos_token has {"text":"x"}"#),
        (config, json!({"extra_special_tokens": ["a", 5]}), "extra_special_tokens has 5"),
        (config, json!({"extra_special_tokens": {"image": 5}}), "image has 5"),
        (config, json!({"extra_special_tokens": "<x>"}), r#"extra_special_tokens has "<x>""#),
        (config, json!({"added_tokens_decoder": {"x": {"content": "a"}}}), r#"a token with the id "x""#),
        (config, json!({"added_tokens_decoder": {"5": "a"}}), r#"added_tokens_decoder has "a""#),
        (config, json!({"added_tokens_decoder": []}), "added_tokens_decoder has []"),
        (config, json!([]), "not a JSON object"),
        (map, json!({"pad_token": false}), "pad_token has false"),
        (added, json!({"a": "5"}), r#"the token "a" has the id "5""#),
        (added, json!({"a": 1_u64 << 32}), r#"the token "a" has the id 4294967296"#),
    ];
    for (name, json, reason) in cases {
        let json = json.to_string();
        let (_directory, folder) = folder_of(&[("tokenizer.json", &tokenizer), (name, json.as_bytes())]);
        assert_refused(Tokenizer::open(&folder), &[name, reason]);
    }
}
