//! Regular expressions of tokenizers: written for Oniguruma, read here by fancy-regex.
//!
//! `tokenizers` splits text with Oniguruma where it is used from Python, and all published patterns were made there. This
//! build has fancy-regex, which is Rust alone. The two read most patterns alike; of the others some are rewritten, and the
//! rest is refused by name, since other tokens would be a silent error:
//!
//! ```text
//! \p{N}{1,3}+   ──▶  (?:\p{N}{1,3})+    a plus after a count repeats it; here it would forbid going back
//! ^   $         ──▶  (?m:^)  (?m:$)     begin and end of a line, not of the text
//! [[:alpha:]]   ──▶  [\p{Alphabetic}]   letters of all scripts
//! ```

/// `pattern` as fancy-regex is to read it.
///
/// # Errors
/// What is in it that the two read otherwise and that has no other form here.
pub fn for_fancy_regex(pattern: &str) -> Result<String, String> {
    let mut rewriter = Rewriter { rest: pattern, out: String::new(), atom: 0, groups: Vec::new() };
    rewriter.run()?;
    Ok(rewriter.out)
}

struct Rewriter<'pattern> {
    rest: &'pattern str,
    out: String,
    /// Where the last atom begins in `out`: what a count after it repeats.
    atom: usize,
    /// Where the open groups begin.
    groups: Vec<usize>,
}

impl<'pattern> Rewriter<'pattern> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(first) = self.rest.chars().next() {
            match first {
                '\\' => self.escape()?,
                '[' => {
                    self.atom = self.out.len();
                    self.class()?;
                }
                '(' => self.open()?,
                ')' => {
                    self.atom = self.groups.pop().unwrap_or(0);
                    self.take(1);
                }
                '{' => self.count()?,
                '*' | '+' | '?' => self.repetition()?,
                '|' => self.take(1),
                '^' => self.replace(1, "(?:\\A|(?m:^)(?!\\z))"),
                '$' => self.replace(1, "(?m:$)"),
                _ => {
                    self.atom = self.out.len();
                    self.take(first.len_utf8());
                }
            }
        }
        Ok(())
    }

    /// `*`, `+?` or `?+`. What repeats it once more is read in two ways.
    fn repetition(&mut self) -> Result<(), String> {
        self.take(1);
        if self.rest.starts_with(['?', '+']) {
            self.take(1);
        }
        if self.rest.starts_with(['*', '+', '?', '{']) {
            return self.differs("a repetition of a repetition");
        }
        Ok(())
    }

    fn take(&mut self, len: usize) {
        let (taken, rest) = self.rest.split_at(len);
        self.out.push_str(taken);
        self.rest = rest;
    }

    fn replace(&mut self, len: usize, with: &str) {
        self.atom = self.out.len();
        self.out.push_str(with);
        self.rest = &self.rest[len..];
    }

    fn differs<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} means something else in Oniguruma, which the model was made with"))
    }

    fn escape(&mut self) -> Result<(), String> {
        self.atom = self.out.len();
        let escaped = self.rest[1..].chars().next().ok_or("it ends with a backslash")?;
        match escaped {
            'p' | 'P' => self.property(),
            'Z' => {
                self.replace(2, "(?=\\n?\\z)");
                Ok(())
            }
            'w' | 'W' | 'b' | 'B' => {
                // Zero-width joiners are part of a word in Rust, and small digits of Latin-1 in Oniguruma.
                let (word, other) =
                    ("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}²³¹¼-¾]", "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}²³¹¼-¾]");
                match escaped {
                    'w' => self.replace(2, word),
                    'W' => self.replace(2, other),
                    _ => return self.differs(&format!("\\{escaped}")),
                }
                Ok(())
            }
            // The last two are letters of their own there, and ends of words here.
            _ if "hHRXKGgkMCcyYONea0123456789<>".contains(escaped) => self.differs(&format!("\\{escaped}")),
            _ => {
                self.take(1 + escaped.len_utf8());
                if matches!(escaped, 'x' | 'u') && self.rest.starts_with('{') {
                    self.take(self.rest.find('}').map_or(self.rest.len(), |end| end + 1));
                }
                Ok(())
            }
        }
    }

    /// `\p{Name}`. Categories, scripts and `^` are the same for both.
    fn property(&mut self) -> Result<(), String> {
        let Some(end) = self.rest.find('}').filter(|_| self.rest[2..].starts_with('{')) else {
            return self.differs("\\p without braces");
        };
        let name = &self.rest[3..end];
        if ["punct", "word", "graph", "print"].iter().any(|other| name.eq_ignore_ascii_case(other)) {
            return self.differs(&format!("\\p{{{name}}}"));
        }
        self.take(end + 1);
        Ok(())
    }

    fn open(&mut self) -> Result<(), String> {
        self.groups.push(self.out.len());
        if !self.rest.starts_with("(?") {
            self.take(1);
            return Ok(());
        }
        if self.rest.starts_with("(?#") || self.rest.starts_with("(?~") || self.rest.starts_with("(?(") {
            return self.differs(&self.rest[..3]);
        }
        let kind = ["(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"].into_iter().find(|kind| self.rest.starts_with(kind));
        if let Some(kind) = kind {
            self.take(kind.len());
            return Ok(());
        }
        if self.rest.starts_with("(?<") {
            return self.differs("a named group");
        }
        let end = self.rest.find([':', ')']).ok_or("a group does not end")?;
        let options = &self.rest[2..end];
        match options {
            "i" if folds_to_several(&self.rest[end..]) => {
                return self
                    .differs("(?i: before a \\p, or letters that one character can stand for, such as ß for ss,");
            }
            "i" | "-i" => (),
            // In Oniguruma the dot then matches line ends, too.
            _ => return self.differs(&format!("(?{options}")),
        }
        if self.rest[end..].starts_with(')') {
            return self.differs(&format!("(?{options}) without a colon"));
        }
        self.take(end + 1);
        Ok(())
    }

    /// `{1,3}`, and what follows it.
    fn count(&mut self) -> Result<(), String> {
        let end = self.rest.find('}').ok_or("a brace does not close")?;
        let bounds = &self.rest[1..end];
        let numbers: Vec<&str> = bounds.split(',').collect();
        let is_number = |text: &&str| !text.is_empty() && text.chars().all(|char| char.is_ascii_digit());
        match numbers[..] {
            [one] if is_number(&one) => (),
            [low, high] if is_number(&low) && (high.is_empty() || is_number(&high)) => (),
            _ => return self.differs(&format!("{{{bounds}}}")),
        }
        let exact = numbers.len() == 1;
        let counted = format!("(?:{}{})", &self.out[self.atom..], &self.rest[..=end]);
        self.rest = &self.rest[end + 1..];
        match self.rest.chars().next() {
            // A second repetition repeats the first; here the plus would forbid going back.
            Some('+' | '*') => {
                self.out.replace_range(self.atom.., &counted);
            }
            Some('?') if exact => self.out.replace_range(self.atom.., &counted),
            Some('{') => return self.differs("a count after a count"),
            _ => {
                self.out.replace_range(self.atom.., &counted[3..counted.len() - 1]);
                if self.rest.starts_with('?') {
                    self.take(1);
                    if self.rest.starts_with(['*', '+', '?', '{']) {
                        return self.differs("a repetition of a repetition");
                    }
                }
            }
        }
        Ok(())
    }

    /// `[...]`, with classes in it.
    fn class(&mut self) -> Result<(), String> {
        self.take(1);
        if self.rest.starts_with('^') {
            self.take(1);
        }
        if self.rest.starts_with(']') {
            return self.differs("a class that begins with ]");
        }
        loop {
            let first = self.rest.chars().next().ok_or("a class does not end")?;
            match first {
                ']' => {
                    self.take(1);
                    return Ok(());
                }
                '[' if self.rest.starts_with("[:") => self.named_class()?,
                '[' => self.class()?,
                '&' if self.rest.starts_with("&&") => return self.differs("&& in a class"),
                // In Rust these take one class from another.
                '-' if self.rest.starts_with("--") => return self.differs("-- in a class"),
                '~' if self.rest.starts_with("~~") => return self.differs("~~ in a class"),
                '\\' => {
                    let escaped = self.rest[1..].chars().next().ok_or("it ends with a backslash")?;
                    match escaped {
                        'p' | 'P' => self.property()?,
                        // Oniguruma leaves out those small digits here.
                        'w' => self.replace(2, "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"),
                        'W' | 'b' | 'h' | 'H' | 'R' | 'X' | 'c' | 'C' | 'M' | 'e' | 'a' | '0'..='9' => {
                            return self.differs(&format!("\\{escaped} in a class"));
                        }
                        _ => self.take(1 + escaped.len_utf8()),
                    }
                }
                _ => self.take(first.len_utf8()),
            }
        }
    }

    /// `[:alpha:]`: all scripts in Oniguruma, ASCII in Rust.
    fn named_class(&mut self) -> Result<(), String> {
        let end = self.rest.find(":]").ok_or("a class does not end")?;
        let with = match &self.rest[2..end] {
            "alpha" => "\\p{Alphabetic}",
            "digit" => "\\p{Nd}",
            "space" => "\\s",
            "lower" => "\\p{Lowercase}",
            "upper" => "\\p{Uppercase}",
            name => return self.differs(&format!("[:{name}:]")),
        };
        self.out.push_str(with);
        self.rest = &self.rest[end + 2..];
        Ok(())
    }
}

/// Whether a group without regard to case holds letters that Oniguruma also finds in one character: ß, ﬀ, ﬁ, ﬂ, ﬆ. Or a
/// class such as `\p{Lu}`, which there stays what it is.
fn folds_to_several(group: &str) -> bool {
    let mut depth = 0;
    let end = group.find(|char| {
        depth += i32::from(char == '(') - i32::from(char == ')');
        depth < 0
    });
    let inside = group[..end.unwrap_or(group.len())].to_lowercase();
    !inside.is_ascii() || ["\\p", "[:", "ss", "st", "ff", "fi", "fl"].iter().any(|pair| inside.contains(pair))
}
