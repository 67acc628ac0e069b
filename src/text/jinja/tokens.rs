//! The words of a tag: what stands between `{{` and `}}`, or `{%` and `%}`.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or a keyword.
    Name,
    /// A number.
    Number,
    /// A text, with its quotes.
    Text,
    /// An operator or a bracket.
    Operator,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub struct Token<'source> {
    /// What it is.
    pub kind: Kind,
    /// How it is written.
    pub text: &'source str,
}

const OPERATORS: [&str; 7] = ["//", "**", "==", "!=", ">=", "<=", "<>"];

/// Splits `source` up to the first of `ends` outside of brackets and texts: the tokens, the end, and what follows the end.
/// `None` if there is no end, or something else than tokens before it.
pub fn tokens<'source>(
    source: &'source str,
    ends: &[&'static str],
) -> Option<(Vec<Token<'source>>, &'static str, &'source str)> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut rest = source;
    loop {
        rest = rest.trim_start();
        if depth == 0
            && let Some(end) = ends.iter().find(|end| rest.starts_with(**end))
        {
            return Some((tokens, end, &rest[end.len()..]));
        }
        let first = rest.chars().next()?;
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        let (kind, len) = match first {
            '\'' | '"' => (Kind::Text, text_len(rest, first)?),
            '0'..='9' => (Kind::Number, number_len(rest)),
            _ if is_word(first) => (Kind::Name, rest.find(|char| !is_word(char)).unwrap_or(rest.len())),
            _ => {
                let len = OPERATORS.iter().find(|operator| rest.starts_with(**operator)).map_or(1, |long| long.len());
                match first {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.checked_sub(1)?,
                    '+' | '-' | '*' | '/' | '%' | '~' | '=' | '!' | '<' | '>' | '.' | ',' | ':' | '|' | ';' => (),
                    _ => return None,
                }
                (Kind::Operator, len)
            }
        };
        let (text, after) = rest.split_at(len);
        tokens.push(Token { kind, text });
        rest = after;
    }
}

fn text_len(source: &str, quote: char) -> Option<usize> {
    let mut chars = source.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            chars.next();
        } else if char == quote {
            return Some(at + 1);
        }
    }
    None
}

/// A number ends before a dot that no digit follows: `messages.0.role`.
fn number_len(source: &str) -> usize {
    let bytes = source.as_bytes();
    let digits = |from: usize| {
        from + bytes[from..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
    };
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    let is_power = bytes[end - 1].eq_ignore_ascii_case(&b'e') && !source.starts_with("0x");
    if is_power && matches!(bytes.get(end), Some(b'+' | b'-')) {
        end = digits(end + 1);
    }
    end
}

/// Where a token stands outside of brackets.
pub fn place(tokens: &[Token], wanted: &str) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match (token.kind, token.text) {
            (Kind::Operator, "(" | "[" | "{") => depth += 1,
            (Kind::Operator, ")" | "]" | "}") => depth = depth.saturating_sub(1),
            _ => (),
        }
        depth == 0 && token.kind != Kind::Text && token.text == wanted
    })
}
