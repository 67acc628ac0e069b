//! Expressions: read by Jinja2's grammar, written with a call for each operator that minijinja reads otherwise.
//!
//! Whatever is no expression is `None`: the tag is then left as it is, and minijinja says what is wrong.

use super::compare::function;
use super::string_literal;
use super::tokens::{Kind, Token, place};

/// Brackets in brackets. minijinja, too, has such a limit.
const MAX_DEPTH: usize = 100;
/// Methods of dicts. Jinja2 takes the method even where the dict has such a key.
const DICT_METHODS: [&str; 5] = ["get", "items", "keys", "values", "copy"];

/// Filters whose outcome can be gone through once.
const GENERATORS: [&str; 7] = ["map", "select", "reject", "selectattr", "rejectattr", "unique", "items"];

type Written = Result<Option<String>, String>;

/// Reads expressions from tokens.
pub struct Expressions<'tokens, 'source> {
    tokens: &'tokens [Token<'source>],
    depth: usize,
}

/// Unwraps a [`Written`] or hands it on.
macro_rules! written {
    ($written:expr) => {
        match $written? {
            Some(text) => text,
            None => return Ok(None),
        }
    };
}

impl<'tokens, 'source> Expressions<'tokens, 'source> {
    /// Begins with the first of `tokens`.
    pub fn new(tokens: &'tokens [Token<'source>]) -> Self {
        Self { tokens, depth: 0 }
    }

    /// Whether all tokens are read.
    pub fn is_at_end(&self) -> bool {
        self.tokens.is_empty()
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'tokens [Token<'source>] {
        self.tokens
    }

    /// Passes over a token if it comes next.
    pub fn skip(&mut self, wanted: &str) -> bool {
        let found = self.sees(wanted);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn sees(&self, wanted: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.kind != Kind::Text && token.text == wanted)
    }

    fn skip_any(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        wanted.iter().find(|wanted| self.skip(wanted)).copied()
    }

    /// One or several with commas between them.
    pub fn list(&mut self) -> Written {
        self.list_of(Self::one)
    }

    /// The same, as a loop goes over it: an `if` after it is not part of it.
    pub fn list_without_choice(&mut self) -> Written {
        self.list_of(Self::or)
    }

    fn list_of(&mut self, one: fn(&mut Self) -> Written) -> Written {
        let mut list = written!(one(self));
        if !self.sees(",") {
            return Ok(Some(list));
        }
        while self.skip(",") {
            if self.is_at_end() || self.sees("if") {
                break;
            }
            list = format!("{list},{}", written!(one(self)));
        }
        Ok(Some(format!("__tuple({list})")))
    }

    /// One, with `a if b else c`.
    pub fn one(&mut self) -> Written {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("brackets are nested too deeply".into());
        }
        let mut value = written!(self.or());
        while self.skip("if") {
            let condition = written!(self.or());
            value = format!("{value} if {condition}");
            if self.skip("else") {
                value += &format!(" else {}", written!(self.one()));
            }
        }
        self.depth -= 1;
        Ok(Some(value))
    }

    fn or(&mut self) -> Written {
        let mut operands = vec![written!(self.and())];
        while self.skip("or") {
            operands.push(written!(self.and()));
        }
        Ok(Some(operands.join(" or ")))
    }

    /// What is known beforehand minijinja turns into true or false. Behind a call it is not known, and stays what it is.
    fn and(&mut self) -> Written {
        let mut and = written!(self.not());
        if self.sees("and") {
            and = format!("__value({and})");
        }
        while self.skip("and") {
            and += &format!(" and {}", written!(self.not()));
        }
        Ok(Some(and))
    }

    fn not(&mut self) -> Written {
        let mut count = 0;
        while self.skip("not") {
            count += 1;
        }
        let nots = ["", "not ", "not not "][if count == 0 { 0 } else { 2 - count % 2 }];
        Ok(Some(format!("{nots}{}", written!(self.compare()))))
    }

    fn compare(&mut self) -> Written {
        let first = written!(self.sum());
        let mut links = Vec::new();
        loop {
            let operator = match self.skip_any(&["==", "!=", "<=", ">=", "<", ">", "in"]) {
                Some(operator) => operator,
                None if self.sees("not") && self.tokens.get(1).is_some_and(|next| next.text == "in") => {
                    self.tokens = &self.tokens[2..];
                    "not in"
                }
                None => break,
            };
            links.push((operator, written!(self.sum())));
        }
        Ok(Some(match &links[..] {
            [] => first,
            [(operator, right)] => format!("{}({first},{right})", function(operator).unwrap_or_default()),
            links => {
                let links = links.iter().map(|(operator, right)| format!(",'{operator}',{right}"));
                format!("__chain({first}{})", links.collect::<String>())
            }
        }))
    }

    /// A sum of texts has many parts: they stay side by side, so that no brackets pile up.
    fn sum(&mut self) -> Written {
        let mut left = written!(self.concat());
        while let Some(operator) = self.skip_any(&["+", "-"]) {
            let mut right = written!(self.concat());
            while operator == "+" && self.skip("+") {
                right = format!("{right},{}", written!(self.concat()));
            }
            left = format!("{}({left},{right})", if operator == "+" { "__add" } else { "__sub" });
        }
        Ok(Some(left))
    }

    fn concat(&mut self) -> Written {
        let first = written!(self.product());
        let mut parts = vec![first];
        while self.skip("~") {
            parts.push(written!(self.product()));
        }
        Ok(Some(if parts.len() == 1 { parts.remove(0) } else { format!("__cat({})", parts.join(",")) }))
    }

    fn product(&mut self) -> Written {
        let mut left = written!(self.power());
        while let Some(operator) = self.skip_any(&["*", "//", "/", "%"]) {
            let name = match operator {
                "*" => "__mul",
                "//" => "__floordiv",
                "/" => "__div",
                _ => "__mod",
            };
            left = format!("{name}({left},{})", written!(self.power()));
        }
        Ok(Some(left))
    }

    fn power(&mut self) -> Written {
        let mut left = written!(self.unary(true));
        while self.skip("**") {
            left = format!("{left} ** {}", written!(self.unary(true)));
        }
        Ok(Some(left))
    }

    fn unary(&mut self, with_filters: bool) -> Written {
        let value = match self.skip_any(&["-", "+"]) {
            Some(sign) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err("signs are nested too deeply".into());
                }
                let value = written!(self.unary(false));
                self.depth -= 1;
                if sign == "-" { format!("__neg({value})") } else { value }
            }
            None => written!(self.primary()),
        };
        let value = written!(self.postfix(value));
        if with_filters { self.filters(value) } else { Ok(Some(value)) }
    }

    fn primary(&mut self) -> Written {
        let Some((token, rest)) = self.tokens.split_first() else { return Ok(None) };
        self.tokens = rest;
        match (token.kind, token.text) {
            (Kind::Text, _) => {
                // Texts side by side are one, and a method of it is one of the whole.
                let mut texts = vec![string_literal::rewrite(token.text)?];
                while let Some(next) = self.tokens.first().filter(|next| next.kind == Kind::Text) {
                    texts.push(string_literal::rewrite(next.text)?);
                    self.tokens = &self.tokens[1..];
                }
                Ok(Some(texts.join(" ")))
            }
            (Kind::Name | Kind::Number, text) => Ok(Some(text.to_owned())),
            (Kind::Operator, "(") => {
                let before = self.tokens;
                let written = written!(self.inside("(", ")"));
                let inside = &before[..before.len() - self.tokens.len() - 1];
                let is_tuple = inside.is_empty() || place(inside, ",").is_some();
                Ok(Some(if is_tuple { format!("__tuple{written}") } else { written }))
            }
            (Kind::Operator, "[") => self.holder("[", "]"),
            (Kind::Operator, "{") => self.holder("{", "}"),
            _ => Ok(None),
        }
    }

    /// A list or a dict. What is known beforehand lies no deeper than its brackets.
    fn holder(&mut self, open: &str, close: &str) -> Written {
        let before = self.tokens;
        let written = written!(self.inside(open, close));
        let is_known = !before[..before.len() - self.tokens.len()].iter().any(|token| token.kind == Kind::Name);
        Ok(Some(if is_known { written } else { format!("__inner({written})") }))
    }

    /// What is between brackets: values, `key: value` and `name=value`, with commas between them.
    pub fn inside(&mut self, open: &str, close: &str) -> Written {
        let mut out = open.to_owned();
        while !self.skip(close) {
            out += self.skip_any(&["**", "*"]).unwrap_or("");
            out += &written!(self.one());
            if let Some(sign) = self.skip_any(&[":", "="]) {
                out += sign;
                out += &written!(self.one());
            }
            if self.skip(",") {
                out.push(',');
            } else if !self.sees(close) {
                return Ok(None);
            }
        }
        Ok(Some(out + close))
    }

    fn postfix(&mut self, mut value: String) -> Written {
        loop {
            if self.skip(".") {
                let Some((name, rest)) = self.tokens.split_first().filter(|(name, _)| name.kind != Kind::Operator)
                else {
                    return Ok(None);
                };
                self.tokens = rest;
                if DICT_METHODS.contains(&name.text) && self.skip("(") {
                    let args = written!(self.inside("", ")"));
                    let comma = if args == ")" { "" } else { "," };
                    value = format!("__method({value},'{}'{comma}{args}", name.text);
                } else {
                    value = format!("{value}.{}", name.text);
                }
            } else if self.skip("[") {
                value = written!(self.subscript(value));
            } else if self.skip("(") {
                value += &written!(self.inside("(", ")"));
            } else {
                return Ok(Some(value));
            }
        }
    }

    fn subscript(&mut self, value: String) -> Written {
        let mut bounds = vec![String::new()];
        loop {
            if self.skip("]") {
                break;
            } else if self.skip(":") {
                bounds.push(String::new());
            } else {
                let Some(bound) = bounds.last_mut().filter(|bound| bound.is_empty()) else { return Ok(None) };
                *bound = written!(self.one());
            }
        }
        let bound = |place: usize| bounds.get(place).filter(|bound| !bound.is_empty()).map_or("none", |bound| bound);
        Ok(match bounds.len() {
            1 => Some(format!("{value}[{}]", bounds[0])),
            2 | 3 => Some(format!("__slice({value},{},{},{})", bound(0), bound(1), bound(2))),
            _ => None,
        })
    }

    fn filters(&mut self, mut value: String) -> Written {
        loop {
            if self.skip("|") {
                let Some(name) = self.name() else { return Ok(None) };
                value = format!("{value}|{name}");
                if self.skip("(") {
                    value += &written!(self.inside("(", ")"));
                }
                if GENERATORS.contains(&name) {
                    value = format!("__generator({value})");
                }
            } else if self.skip("is") {
                let not = if self.skip("not") { "not " } else { "" };
                let Some(name) = self.name() else { return Ok(None) };
                value = format!("({value} is {not}{name}");
                if self.skip("(") {
                    value += &written!(self.inside("(", ")"));
                } else if self.sees_argument() {
                    let argument = written!(self.primary());
                    value = format!("{value}({})", written!(self.postfix(argument)));
                }
                value.push(')');
            } else {
                return Ok(Some(value));
            }
        }
    }

    fn name(&mut self) -> Option<&'source str> {
        let (token, rest) = self.tokens.split_first().filter(|(token, _)| token.kind == Kind::Name)?;
        self.tokens = rest;
        Some(token.text)
    }

    /// Whether what follows a test's name is its argument: `x is divisibleby 3`.
    fn sees_argument(&self) -> bool {
        self.tokens.first().is_some_and(|token| match (token.kind, token.text) {
            (Kind::Name, "else" | "or" | "and" | "is" | "if" | "in" | "not") => false,
            (Kind::Operator, bracket) => matches!(bracket, "[" | "{"),
            _ => true,
        })
    }
}
