//! Expressions and tags against jinja2, set up as in transformers: the same text, or an error where jinja2 has one. What
//! cannot be made the same is refused in words.

use cb_lab::text::{ChatTemplate, Message};
use serde::Deserialize;

use crate::folder_of;

/// Printed otherwise than by Python, with the reason. Nobody prints these.
const DIFFER: [(&str, &str); 8] = [
    (".items() }}", "a view of a dict is printed as a list"),
    (".keys() }}", "a view of a dict is printed as a list"),
    (".values() }}", "a view of a dict is printed as a list"),
    (".keys() is sequence", "a view of a dict is a list"),
    ("{{ range(3) }}", "a range is printed as a list"),
    ("{1:'a', true:'b', none:'c'}", "1 and true are two keys"),
    ("{{ ns }}", "a namespace is printed as a dict"),
    ("{{ self is defined }}", "there are no blocks to be named"),
];
/// Cased otherwise: Unicode has a third case for three Latin letters.
const TITLE_CASE: [&str; 2] = ["'ǆx'.capitalize()", "'ǅ'.title()"];
/// jinja2 has an error here.
const ACCEPTED: [&str; 1] = ["range(3)|tojson"];
const CALLABLE: &str = "f is callable";
/// Refused, though jinja2 renders them.
const MOST_REFUSED: usize = 40;

#[derive(Deserialize)]
struct Goldens {
    messages: String,
    cases: Vec<(String, Option<String>)>,
}

/// 3 February 2026, 04:05:06.
fn clock() -> u64 {
    1_770_091_506
}

fn render(template: &str, messages: &[Message]) -> Result<String, String> {
    let config = br#"{"bos_token": "<s>", "eos_token": "</s>"}"#;
    let (_directory, folder) =
        folder_of(&[("tokenizer_config.json", config), ("chat_template.jinja", template.as_bytes())]);
    let template = ChatTemplate::open_at(&folder, clock).map_err(|error| error.to_string())?.expect("there is one");
    template.render(messages, true).map_err(|error| error.to_string())
}

#[test]
fn expressions_and_tags_are_those_of_jinja2() {
    let goldens: Goldens = serde_json::from_str(include_str!("jinja.json")).unwrap();
    let messages: Vec<Message> = serde_json::from_str(&goldens.messages).unwrap();
    let is_known = |template: &str| {
        DIFFER
            .iter()
            .map(|(part, _)| *part)
            .chain(TITLE_CASE)
            .chain(ACCEPTED)
            .chain([CALLABLE])
            .any(|part| template.contains(part))
    };
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for (template, expected) in &goldens.cases {
        match (expected, render(template, &messages)) {
            (Some(expected), Ok(rendered)) if *expected == rendered => (),
            (None, Err(error)) => assert!(error.starts_with("chat template: "), "{template}: {error}"),
            (Some(_), Err(error)) => refused.push(format!("{template}: {error}")),
            _ if is_known(template) => (),
            (expected, rendered) => wrong.push(format!("{template}: {rendered:?}, not {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused.len() <= MOST_REFUSED, "{} are refused:\n{}", refused.len(), refused.join("\n"));
    assert!(goldens.cases.len() > 700, "only {} cases", goldens.cases.len());
}
