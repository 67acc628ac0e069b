//! Templates that would not end, take all memory or overflow the stack.

use crate::assert_refused;
use crate::chat_template::render;

/// Each would take gigabytes, or hours.
#[test]
fn what_a_template_may_make_is_bounded() {
    let loop_of =
        |body: &str| format!("{{% set ns = namespace(x='ab', l=[1]) %}}{{% for i in range(60) %}}{body}{{% endfor %}}");
    let doubled = [
        "ns.x + ns.x",
        "ns.x ~ ns.x",
        "ns.x * 2",
        "ns.x | replace('a', 'aa')",
        "[ns.x, ns.x] | join",
        "'%s%s' % (ns.x, ns.x)",
    ];
    for growing in doubled {
        let template = loop_of(&format!("{{% set ns.x = {growing} %}}"));
        assert_refused(render(&template, ""), &["it makes more than 67108864 bytes"]);
    }
    let lists = loop_of("{% set ns.l = ns.l + ns.l %}");
    let others =
        ["{{ 'a' * 10**12 }}", "{{ [1] * 10**12 }}", "{{ 'a'.center(10**12) }}", "{{ 'a' | indent(10**12, true) }}"];
    for template in others.iter().copied().chain([&*lists]) {
        assert_refused(render(template, ""), &["it makes more than 67108864 bytes"]);
    }
    let captured = "{% set x %}ab{% endset %}".to_owned() + &"{% set x %}{{ x }}{{ x }}{% endset %}".repeat(60);
    assert_refused(render(&captured, ""), &["it makes more than"]);
    for wide in ["{{ '%999999999d' | format(1) }}", "{{ '{:>999999999}'.format(1) }}"] {
        assert_refused(render(wide, ""), &["at most 9999 wide"]);
    }
    assert_eq!(render("{{ 'aaa'.count('') }}", "").unwrap(), "4", "does not go on for ever");
    let brackets = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert_refused(render(&brackets, ""), &["chat template"]);
    let signs = format!("{{{{ {}1 }}}}", "-".repeat(1900));
    assert_refused(render(&signs, ""), &["nested too deeply"]);
    let words = format!("{{{{ {}1 }}}}", "1 or ".repeat(5000));
    assert_refused(render(&words, ""), &["10001 words, at most 2000"]);
    let nots = format!("{{{{ {}1 }}}}", "not ".repeat(1999));
    assert_eq!(render(&nots, "").unwrap(), "False");
    let sum = format!("{{{{ {}'a' }}}}", "'a' + ".repeat(900));
    assert_eq!(render(&sum, "").unwrap(), "a".repeat(901));
}

#[test]
fn values_lie_within_others_but_not_without_end() {
    let deepen = |set: &str| {
        format!(
            "{{% set ns = namespace(x=[1]) %}}{{% for i in range(90000) %}}{{% set ns.x = {set} %}}{{% endfor %}}{{{{ ns.x == [2] }}}}"
        )
    };
    for set in ["[ns.x]", "{'a': ns.x}", "(ns.x,)", "dict(a=ns.x)", "[1, {'a': [ns.x]}]"] {
        let error = render(&deepen(set), "").unwrap_err().to_string();
        assert!(error.contains("more than 200 deep"), "{set}: {error}");
    }
    for set in ["ns", "[ns]", "namespace(a=ns)", "loop"] {
        let error = render(&deepen(set), "").unwrap_err().to_string();
        assert!(error.contains("might then lie within itself"), "{set}: {error}");
    }
    for set in ["cycler(ns.x)", "joiner(ns.x)"] {
        assert_refused(render(&deepen(set), ""), &["might then lie within itself"]);
    }
    for set in ["ns.x | reverse", "ns.x | map('list')", "ns.x | select"] {
        let _ends = render(&deepen(set), "");
    }
    let hidden = [
        "{% set ns.x | default([ns.x], true) %}{% endset %}",
        "{% macro f(a) %}{{ caller() }}{% set ns.x = a %}{% endmacro %}{% call f([ns.x]) %}{% endcall %}",
        "{% macro f(a=[ns.x]) %}{% set ns.x = a %}{% endmacro %}{{ f() }}",
        "{% with a = [ns.x] %}{% set ns.x = a %}{% endwith %}",
        "{% for a in [[ns.x]] %}{% set ns.x = a %}{% endfor %}",
    ];
    for body in hidden {
        let template = format!("{{% set ns = namespace(x=[1]) %}}{{% for i in range(20000) %}}{body}{{% endfor %}}");
        assert_refused(render(&template, ""), &["more than 200 deep"]);
    }
    let shallow =
        "{% set ns = namespace(x=[1]) %}{% for i in range(150) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}";
    assert_eq!(render(shallow, "").unwrap(), format!("{}1{}", "[".repeat(151), "]".repeat(151)));
}

/// Each would run for minutes.
#[test]
fn what_a_template_may_read_is_bounded() {
    let long = "{% set s = 'a' * 30000000 %}{% set l = [s] * 1000 %}{% set r = range(90000) | list %}";
    let reads = [
        "'b' in s",
        "s.find('b')",
        "s.isalpha()",
        "s | length",
        "s | wordcount",
        "s is lower",
        "r | sort | length",
        "r | select('in', r) | list",
        "l | sort | length",
        "l | map('upper') | list | length",
        "l == [s ~ ''] * 1000",
    ];
    for read in reads {
        let template = format!("{long}{{% for i in range(90000) %}}{{% if {read} %}}{{% endif %}}{{% endfor %}}");
        let began = std::time::Instant::now();
        let error = render(&template, "").unwrap_err().to_string();
        assert!(error.contains("it runs for too long") || error.contains("it makes more than"), "{read}: {error}");
        println!("{read}: {:?}", began.elapsed());
    }
    let clock = format!("{long}{{% for i in range(90000) if s[-1] == 'b' %}}{{% endfor %}}");
    assert_refused(render(&clock, ""), &["it runs for too long"]);
    let text = "x".repeat(100_000);
    let macros = format!(
        "{{% macro f() %}}{text}{{% endmacro %}}{{% set x %}}{{% for i in range(90000) %}}{{{{ f() }}}}{{% endfor %}}{{% endset %}}"
    );
    let captured = format!("{{% set x %}}{{% for i in range(90000) %}}{text}{{% endfor %}}{{% endset %}}");
    for template in [macros, captured, format!("{long}{{{{ l }}}}"), format!("{long}{{{{ l | tojson }}}}")] {
        assert_refused(render(&template, ""), &["it makes more than 67108864 bytes"]);
    }
}

#[test]
fn a_loop_is_not_left_from_inside_of_a_block() {
    let in_loop = |body: &str| format!("{{% for i in [1, 2, 3] %}}{body}{{{{ i }}}}{{% endfor %}}");
    let blocks = [
        ("with", "{% with a = 1 %}", "{% endwith %}"),
        ("set", "{% set x %}", "{% endset %}"),
        ("filter", "{% filter upper %}", "{% endfilter %}"),
        ("generation", "{% generation %}", "{% endgeneration %}"),
        ("call", "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}", "{% endcall %}"),
    ];
    for (name, open, close) in blocks {
        for leave in ["break", "continue"] {
            let template = in_loop(&format!("{open}{{% if i == 2 %}}{{% {leave} %}}{{% endif %}}{close}"));
            let expected =
                format!("{leave} inside of {{% {name} %}} is not supported: move it behind the {{% end{name} %}}");
            assert_refused(render(&template, ""), &[&expected, "(line 1)"]);
            let inner = format!("{open}{{% for j in [1] %}}{{% {leave} %}}{{% else %}}{{% endfor %}}{close}");
            assert!(render(&in_loop(&inner), "").is_ok(), "{inner}");
        }
    }
    assert_eq!(render(&in_loop("{% for j in [] %}{% else %}{% continue %}{% endfor %}"), "").unwrap(), "");
}
