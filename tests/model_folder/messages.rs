//! Messages: what they may say, and what of it a template sees.

use cb_lab::text::{ChatTemplate, Message};

use crate::folder_of;

fn render(template: &str, messages: &str) -> Result<String, String> {
    let messages: Vec<Message> = serde_json::from_str(messages).map_err(|error| error.to_string())?;
    let (_directory, folder) = folder_of(&[("chat_template.jinja", template.as_bytes())]);
    let template = ChatTemplate::open(&folder).map_err(|error| error.to_string())?.expect("it has a template");
    template.render(&messages, false).map_err(|error| error.to_string())
}

#[test]
fn a_template_sees_every_key_in_the_order_given() {
    let messages = r#"[{"role":"assistant","name":"Bo","content":"c","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":{"b":1,"a":[2.0]}}}],"tool_call_id":"x","refusal":"no"}]"#;
    let expected = messages.replace("\":", "\": ").replace(",\"", ", \"");
    assert_eq!(render("{{ messages | tojson }}", messages).unwrap(), expected);
    let value: Vec<Message> = serde_json::from_str(messages).unwrap();
    assert_eq!(serde_json::to_string(&value).unwrap(), messages, "and it is written as it was read");
}

#[test]
fn a_key_may_be_null() {
    let messages = r#"[{"role":"assistant","content":null,"tool_calls":null,"audio":null}]"#;
    let expected = "[{'role': 'assistant', 'content': None, 'tool_calls': None, 'audio': None}]";
    assert_eq!(render("{{ messages }}", messages).unwrap(), expected);
    let template = "{% set m = messages[0] %}{{ m.content is none }}{{ 'content' in m }}{{ m | tojson }}";
    let expected = r#"TrueTrue{"role": "assistant", "content": null, "tool_calls": null, "audio": null}"#;
    assert_eq!(render(template, messages).unwrap(), expected);
}

#[test]
fn what_a_model_thought_has_three_names() {
    for name in ["reasoning_content", "thinking", "reasoning"] {
        let messages = format!(r#"[{{"role":"assistant","content":"a","{name}":"b"}}]"#);
        let template = "{{ messages[0].reasoning_content }}{{ messages[0].thinking }}";
        assert_eq!(render(template, &messages).unwrap(), "bb", "{name}");
    }
}

#[test]
fn parts_are_joined_unless_the_template_reads_them() {
    let messages = r#"[{"role":"user","content":[{"type":"text","text":"two "},{"type":"text","text":"parts"}]}]"#;
    let reads = [
        "{% for p in messages[0].content %}<{{ p.text }}>{% endfor %}",
        "{% for m in messages %}{% if m['content'] is string %}{{ m.content }}{% else %}{% for p in m.content | selectattr('type', 'equalto', 'text') %}<{{ p['text'] }}>{% endfor %}{% endif %}{% endfor %}",
    ];
    for template in reads {
        assert_eq!(render(template, messages).unwrap(), "<two ><parts>", "{template}");
    }
    let joins = ["{{ messages[0].content }}", "{{ messages[0].content + '' }}", "{{ messages[0]['content'] | trim }}"];
    for template in joins {
        assert_eq!(render(template, messages).unwrap(), "two parts", "{template}");
    }
    // It read the parts, and does not want them: no other rendering says so.
    let refuses = "{% if messages[0].content is string %}a text{% else %}{% for p in messages[0].content %}{{ p.text }}{% endfor %}{{ raise_exception('no parts') }}{% endif %}";
    assert!(render(refuses, messages).unwrap_err().contains("no parts"));
    // Neither the words of a template nor what it refuses says how it reads: only what it does with each message.
    let both = r#"[{"role":"system","content":[{"type":"text","text":"S"}]},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#;
    let parts = "{% for p in m.content %}<{{ p.text }}>{% endfor %}";
    let each = |system: &str, user: &str| {
        format!(
            "{{% for m in messages %}}{{% if m.role == 'system' %}}{system}{{% else %}}{user}{{% endif %}}{{% endfor %}}"
        )
    };
    let cases = [
        (format!("a tool has a type: {}", each(parts, parts)), "a tool has a type: <S><a><b>"),
        (
            format!(
                "{{% if messages|length < 2 %}}{{{{ raise_exception('too few') }}}}{{% endif %}}{}",
                each(parts, parts)
            ),
            "<S><a><b>",
        ),
        (each("{{ m.content }}", parts), "S<a><b>"),
        (each("{{ m.content + '' }}", parts), "S<a><b>"),
        (each("{% if m.content is string %}{{ m.content }}{% endif %}", parts), "S<a><b>"),
        (each(parts, "{{ m.content | map(attribute='text') | join('+') }}"), "<S>a+b"),
        (each(parts, "{{ m.content[0]['text'] }}"), "<S>a"),
        (each(parts, "{{ m.content | tojson }}"), "<S>\"ab\""),
        ("type".to_owned(), "type"),
    ];
    for (template, expected) in cases {
        assert_eq!(render(&template, both).unwrap(), expected, "{template}");
    }
    let error = render("{{ raise_exception('never') }}", both).unwrap_err();
    assert!(error.contains("never"), "{error}");
    let message: Message = serde_json::from_str(&messages[1..messages.len() - 1]).unwrap();
    assert_eq!(message.text(), "two parts");
}

#[test]
fn what_no_message_may_say_is_named() {
    let cases = [
        (r#"[7]"#, "a message is an object"),
        (r#"[{"content":"a"}]"#, "a message has no role"),
        (r#"[{"role":7}]"#, "the role of a message is number, and must be a text"),
        (r#"[{"role":"user","contnet":"a"}]"#, "the key contnet, which is not known: there are role, content,"),
        (r#"[{"role":"user","content":{}}]"#, "the content of a message is map, and must be a text or a list"),
        (r#"[{"role":"user","content":[{"text":"a"}]}]"#, "a part of the content has no type"),
        (r#"[{"role":"user","content":[{"type":"text"}]}]"#, "a part of type text has no text"),
        (
            r#"[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#,
            "of type image_url: this engine reads text only",
        ),
        (r#"[{"role":"user","tool_calls":"f"}]"#, "tool_calls of a message is string, and must be a list"),
        (r#"[{"role":"user","audio":{"id":"a"}}]"#, "the key audio"),
        (
            r#"[{"role":"user","tool_calls":[{"n":18446744073709551616}]}]"#,
            "tool_calls of a message has a number beyond 64 bits",
        ),
    ];
    for (messages, expected) in cases {
        let error = render("", messages).unwrap_err();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}
