//! Rewrites a template: Jinja2's source in, minijinja's out. Both count the same lines.

use super::blocks::Blocks;
use super::expression::Expressions;
use super::tokens::{Kind, Token, place, tokens};

/// Words of a tag. The longest in use have some hundreds.
const MAX_TOKENS: usize = 2_000;

/// A template's source as minijinja is to read it.
///
/// # Errors
/// What Jinja2 has and minijinja has not, or the other way round, with the line.
pub fn rewrite(source: &str) -> Result<String, String> {
    // Jinja2 knows one end of a line.
    let source = &*source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len() * 2);
    let mut blocks = Blocks::default();
    let mut rest = source;
    while let Some(begin) = rest.find("{{").into_iter().chain(rest.find("{%")).chain(rest.find("{#")).min() {
        let line = || source[..source.len() - rest.len() + begin].matches('\n').count() + 1;
        out.push_str(&rest[..begin]);
        blocks.text(begin);
        let tag = &rest[begin..];
        rest = match &tag[..2] {
            "{#" => copy(&mut out, tag, tag.find("#}").map_or(tag.len(), |end| end + 2)),
            "{%" if is_raw(tag) => {
                // After this tag Jinja2 keeps a line end, which minijinja drops.
                let begin = tag.find("%}").map_or(tag.len(), |end| end + 2);
                let after = copy(&mut out, tag, begin);
                if after.starts_with('\n') && !tag[..begin].ends_with("-%}") {
                    out.push('\n');
                }
                blocks.text(raw_len(tag));
                copy(&mut out, after, raw_len(tag) - begin)
            }
            open => {
                let ends: &[&str] = if open == "{{" { &["-}}", "+}}", "}}"] } else { &["-%}", "+%}", "%}"] };
                let sign = tag[2..].starts_with(['-', '+']) as usize;
                let Some((tokens, end, after)) = tokens(&tag[2 + sign..], ends) else {
                    // Whatever it is, minijinja says so.
                    out.push_str(tag);
                    return Ok(out);
                };
                if tokens.len() > MAX_TOKENS {
                    return Err(format!(
                        "a tag has {} words, at most {MAX_TOKENS} are allowed (line {})",
                        tokens.len(),
                        line()
                    ));
                }
                let inside = if open == "{{" { output(&tokens) } else { statement(&tokens) };
                let begin = out.len();
                out.push_str(&tag[..2 + sign]);
                out.push(' ');
                out.push_str(&inside.map_err(|what| format!("{what} (line {})", line()))?);
                let written = &tag[..tag.len() - after.len()];
                // Line ends in texts are there again; those between tokens are not.
                let lines = written.matches('\n').count().saturating_sub(out[begin..].matches('\n').count());
                out.extend(std::iter::repeat_n('\n', lines));
                out.push(' ');
                out.push_str(end);
                if let Some(keyword) = tokens.first().filter(|_| open != "{{") {
                    let has_equals = place(&tokens, "=").is_some();
                    let entered = blocks.statement(keyword.text, has_equals, end, &mut out);
                    entered.map_err(|what| format!("{what} (line {})", line()))?;
                }
                after
            }
        };
    }
    out.push_str(rest);
    Ok(out)
}

fn copy<'source>(out: &mut String, tag: &'source str, len: usize) -> &'source str {
    out.push_str(&tag[..len]);
    &tag[len..]
}

fn keyword_after(tag: &str) -> &str {
    let inside = tag[2..].trim_start_matches(['-', '+']).trim_start();
    &inside[..inside.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(inside.len())]
}

fn is_raw(tag: &str) -> bool {
    keyword_after(tag) == "raw"
}

fn raw_len(tag: &str) -> usize {
    let ends = tag.match_indices("{%").skip(1).find(|(at, _)| keyword_after(&tag[*at..]) == "endraw");
    ends.and_then(|(at, _)| Some(at + tag[at..].find("%}")? + 2)).unwrap_or(tag.len())
}

fn output(tokens: &[Token]) -> Result<String, String> {
    let mut expressions = Expressions::new(tokens);
    Ok(match expressions.list()? {
        Some(list) if expressions.is_at_end() => list,
        // Whatever is wrong with it, minijinja says so.
        _ => plain(tokens)?,
    })
}

/// The tokens one after the other.
fn plain(tokens: &[Token]) -> Result<String, String> {
    let mut out = String::new();
    for token in tokens {
        match token.kind {
            Kind::Text => out.push_str(&super::string_literal::rewrite(token.text)?),
            _ => out.push_str(token.text),
        }
        out.push(' ');
    }
    Ok(out)
}

fn statement(tokens: &[Token]) -> Result<String, String> {
    let Some((keyword, rest)) = tokens.split_first() else { return Ok(String::new()) };
    let head = match keyword.text {
        // Marks what the model has said, for training; what is inside is written all the same.
        "generation" if rest.is_empty() => return Ok("with".into()),
        "endgeneration" if rest.is_empty() => return Ok("endwith".into()),
        "autoescape" => return Err("autoescape is not supported: a prompt is not HTML".into()),
        "macro" => return check_defaults(tokens).and_then(|()| invocation(tokens)),
        "call" | "filter" => return invocation(tokens),
        "do" => return Err("the statement do is not one that chat templates have".into()),
        "if" | "elif" => 0,
        "for" | "set" => match place(rest, if keyword.text == "for" { "in" } else { "=" }) {
            Some(place) => place + 1,
            None if keyword.text == "for" => return plain(tokens),
            None => return invocation(tokens),
        },
        "with" => return assignments(keyword, rest, tokens),
        _ => return plain(tokens),
    };
    let mut expressions = Expressions::new(&rest[head..]);
    let is_loop = keyword.text == "for";
    let Some(mut written) = (if is_loop { expressions.list_without_choice()? } else { expressions.list()? }) else {
        return plain(tokens);
    };
    if is_loop {
        written = format!("__each({written})");
    } else if keyword.text == "set" && place(&rest[..head], ".").is_some() {
        // The name once more: a macro of minijinja sees what it reads, and it does not read what it assigns to.
        written = format!("__for_namespace({written},{})", rest[0].text);
    }
    if is_loop && expressions.skip("if") {
        let Some(condition) = expressions.list()? else { return plain(tokens) };
        written = format!("{written} if __tick({condition})");
    }
    if is_loop && expressions.skip("recursive") {
        written.push_str(" recursive");
    }
    if !expressions.is_at_end() {
        return plain(tokens);
    }
    Ok(format!("{} {}{written}", keyword.text, plain(&rest[..head])?))
}

/// `macro f(a, b=1)`, `call(x) f(y)`, `filter f(a)` or `set x | f(a)`: they are written as expressions are.
fn invocation(tokens: &[Token]) -> Result<String, String> {
    let mut expressions = Expressions::new(&tokens[1..]);
    let parameters = match tokens[0].text == "call" && expressions.skip("(") {
        true => expressions.inside("(", ")")?,
        false => Some(" ".into()),
    };
    match (parameters, expressions.one()?) {
        (Some(parameters), Some(invoked)) if expressions.is_at_end() => {
            Ok(tokens[0].text.to_owned() + &parameters + &invoked)
        }
        _ => plain(tokens),
    }
}

/// A default of Jinja2 sees the parameters before it, one of minijinja does not.
fn check_defaults(tokens: &[Token]) -> Result<(), String> {
    let mut parameters: Vec<&str> = Vec::new();
    let mut rest = tokens.get(3..).unwrap_or_default();
    while let Some((name, after)) = rest.split_first() {
        let len = place(after, ",").unwrap_or(after.len());
        let is_parameter = |token: &&Token| token.kind == Kind::Name && parameters.contains(&token.text);
        if let Some(Token { text, .. }) = after[..len].iter().find(is_parameter) {
            return Err(format!("a macro has a default that names its parameter {text}, which is not supported"));
        }
        parameters.push(name.text);
        rest = after.get(len + 1..).unwrap_or_default();
    }
    Ok(())
}

/// `with a = 1, b = 2`.
fn assignments(keyword: &Token, mut rest: &[Token], tokens: &[Token]) -> Result<String, String> {
    let mut written = Vec::new();
    while let Some(equals) = place(rest, "=") {
        let mut expressions = Expressions::new(&rest[equals + 1..]);
        let Some(value) = expressions.one()? else { return plain(tokens) };
        written.push(format!("{}={value}", plain(&rest[..equals])?));
        rest = expressions.rest();
        if !expressions.skip(",") {
            break;
        }
        rest = expressions.rest();
    }
    if rest.is_empty() { Ok(format!("{} {}", keyword.text, written.join(","))) } else { plain(tokens) }
}
