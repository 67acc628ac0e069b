//! Chat templates against transformers' prompts.

use cb_lab::Result;
use cb_lab::text::{ChatTemplate, Message, Tokenizer};
use serde_json::{Value, json};

use crate::{FIXTURES, assert_refused, entries, fixture, folder_of, golden, ids};

fn messages(value: &Value) -> Vec<Message> {
    serde_json::from_value(value.clone()).unwrap()
}

/// 3 February 2026, 04:05:06.
fn clock() -> u64 {
    1_770_091_506
}

/// What a template in tokenizer_config.json makes of one message.
pub fn render(template: &str, content: &str) -> Result<String> {
    let config = json!({"chat_template": template, "bos_token": "<s>", "eos_token": {"content": "</s>"}}).to_string();
    let (_directory, folder) = folder_of(&[("tokenizer_config.json", config.as_bytes())]);
    ChatTemplate::open_at(&folder, clock)?.expect("it has a template").render(&[Message::new("user", content)], true)
}

#[test]
fn prompts_are_those_of_the_reference() {
    let mut num_templates = 0;
    for name in FIXTURES {
        let golden = golden(name);
        let cases = entries(&golden, "chat_cases");
        let Some(template) = ChatTemplate::open(&fixture(name)).unwrap() else {
            assert!(cases.is_empty(), "{name} has cases and no template");
            continue;
        };
        num_templates += 1;
        let tokenizer = Tokenizer::open(&fixture(name)).unwrap();
        for case in cases {
            let add_generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
            let rendered = template.render(&messages(&case["messages"]), add_generation_prompt).unwrap();
            assert_eq!(rendered, case["rendered"], "{name}");
            assert_eq!(tokenizer.encode_rendered(&rendered).unwrap(), ids(&case["ids"]), "{name}");
        }
        for case in entries(&golden, "chat_errors") {
            let message = case["error"].as_str().unwrap();
            assert_refused(template.render(&messages(&case["messages"]), true), &["chat template", message]);
        }
    }
    assert!(num_templates >= 5, "only {num_templates} fixtures have a template");
}

#[test]
fn where_the_template_is_found() {
    let open = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        let (_directory, folder) = folder_of(&files);
        ChatTemplate::open(&folder)
    };
    let render = |files: &[(&str, &str)]| open(files).unwrap().unwrap().render(&[], false).unwrap();
    let config = r#"{"chat_template": "text"}"#;
    let list = r#"{"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]}"#;
    assert_eq!(render(&[("tokenizer_config.json", config)]), "text");
    assert_eq!(render(&[("tokenizer_config.json", list)]), "yes");
    assert_eq!(render(&[("tokenizer_config.json", config), ("chat_template.jinja", "file\n")]), "file");
    assert_eq!(render(&[("chat_template.jinja", "alone")]), "alone");
    assert!(open(&[]).unwrap().is_none());
    assert!(open(&[("tokenizer_config.json", "{}")]).unwrap().is_none());
    let named = r#"{"chat_template": [{"name": "rag", "template": ""}]}"#;
    assert_refused(open(&[("tokenizer_config.json", named)]), &["tokenizer_config.json", "default, only: rag"]);
    assert_refused(open(&[("tokenizer_config.json", "{")]), &["tokenizer_config.json", "not JSON"]);
    assert_refused(open(&[("chat_template.jinja", "a\n{% if %}")]), &["chat template", "line 2"]);
    let (_directory, folder) = folder_of(&[("chat_template.jinja", b"a\xff")]);
    assert_refused(ChatTemplate::open(&folder), &["chat template: chat_template.jinja is not UTF-8 from byte 1 on"]);
}

#[test]
fn what_templates_in_use_rely_on() {
    let cases = [
        ("{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", "<s> Hi </s>"),
        ("{{ messages[0].content.strip().upper() }}", "HI"),
        ("{{ messages[-1]['role'].startswith('us') }}", "True"),
        ("{{ messages[0]['name'] }}|{{ tools }}|{{ tools is defined }}", "|None|True"),
        ("{% for m in messages[::-1] %}{% if loop.first %}{% continue %}{% endif %}x{% endfor %}", ""),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "1"),
        ("  {% if true %}\nkept\n  {% endif %}\nend\n", "kept\nend"),
        ("{{ messages | tojson }}", r#"[{"role": "user", "content": " Hi "}]"#),
        ("{{ {'b': '<é>', 'a': [1, true, none]} | tojson }}", r#"{"b": "<é>", "a": [1, true, null]}"#),
        ("{{ {'b': []} | tojson(indent=2) }}", "{\n  \"b\": []\n}"),
        // A template with a date to fall back on gets today's, too.
        ("{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}fixed{% endif %}", "03 Feb 2026"),
        (
            "{{ strftime_now('%A, %-d %B %y; day %j, week day %w/%u, %I:%M %p; %F %T') }}",
            "Tuesday, 3 February 26; day 034, week day 2/2, 04:05 AM; 2026-02-03 04:05:06",
        ),
        ("a\r\n{% if true %}\r\nb\r{% endif %}\r\n{{ 'c\r\nd' }}\r\n", "a\nb\nc\nd"),
        ("{% if tools is iterable and tools | length > 0 %}T{% endif %}x", "x"),
        ("{% set x = 1 %}{%- generation -%} a{% set x = 2 %}{{ x }} {%- endgeneration %}{{ x }}", "a21"),
    ];
    for (template, expected) in cases {
        assert_eq!(render(template, " Hi ").unwrap(), expected, "{template}");
    }
}

#[test]
fn what_a_template_cannot_have_is_refused() {
    assert_refused(render("{{ raise_exception('no ' + messages[0].content) }}", "cats"), &["chat template: no cats"]);
    assert_refused(render("a\n{{ strftime_now('%q') }}", ""), &["strftime_now: the directive %q", "line 2"]);
    assert_refused(render("{%- set\n  x = 1\n%}\n\n{{ 1 + 'a' }}", ""), &["+ cannot take number and string (line 5)"]);
    assert_refused(render("{% include '/etc/hostname' %}", ""), &["chat template", "/etc/hostname"]);
    assert_refused(render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", ""), &["chat template", "recursion"]);
    assert_refused(
        render("a\n{{ messages[0].nope.x }}", ""),
        &["messages[0].nope is undefined, so there is no messages[0].nope.x (line 2)"],
    );
    assert_refused(render("{{ nope.x }}", ""), &["nope is undefined, so there is no nope.x"]);
    assert_refused(
        render("{{ nope[messages[0].role] }}", ""),
        &["nope is undefined, so there is no nope[messages[0].role]"],
    );
    assert_refused(render("{{ [nope]|map(attribute='a.b')|list }}", ""), &["undefined value"]);
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    assert_refused(render(endless, ""), &["chat template", "runs for too long"]);
    let flood = "{% for i in range(100) %}{{ messages[0].content }}{% endfor %}";
    assert_refused(render(flood, &"x".repeat(1 << 20)), &["chat template", "more than 16777216 bytes"]);
}
