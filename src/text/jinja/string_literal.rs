//! Texts in a template: Python's escapes, written so that minijinja reads the same.

/// `literal` with its quotes, as minijinja is to read it.
///
/// # Errors
/// An escape that stands for nothing, or for half a character.
pub fn rewrite(literal: &str) -> Result<String, String> {
    if !literal.contains('\\') {
        return Ok(literal.to_owned());
    }
    let mut text = String::from("\"");
    let mut chars = literal[1..literal.len() - 1].chars().peekable();
    while let Some(char) = chars.next() {
        if char != '\\' {
            push(&mut text, char);
            continue;
        }
        let Some(escape) = chars.next() else { break };
        let code = match escape {
            'x' | 'u' | 'U' => {
                let digits = 2 << "xuU".find(escape).unwrap_or(0);
                let hex: String = chars.by_ref().take(digits).collect();
                let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
                Some(code.ok_or_else(|| format!("\\{escape}{hex} in a text stands for no character"))?)
            }
            '0'..='7' => {
                let mut code = escape.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = chars.peek().and_then(|char| char.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    chars.next();
                }
                Some(code)
            }
            'N' => return Err("\\N{…} in a text: characters cannot be named here, write \\u and the number".into()),
            _ => None,
        };
        match (code, escape) {
            (Some(code), _) => {
                let char = char::from_u32(code);
                push(
                    &mut text,
                    char.ok_or_else(|| format!("\\{escape} in a text: {code:#x} is half a character or none"))?,
                );
            }
            (None, '\n') => (),
            (None, '\\' | '\'' | '"') => push(&mut text, escape),
            (None, 'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v') => {
                let known = ["\u{7}", "\u{8}", "\u{c}", "\\n", "\\r", "\\t", "\u{b}"];
                text.push_str(known["abfnrtv".find(escape).unwrap_or(0)]);
            }
            (None, other) => {
                text.push_str("\\\\");
                push(&mut text, other);
            }
        }
    }
    text.push('"');
    Ok(text)
}

fn push(text: &mut String, char: char) {
    if matches!(char, '"' | '\\') {
        text.push('\\');
    }
    text.push(char);
}
