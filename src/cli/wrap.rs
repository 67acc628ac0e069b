//! Text that is written as it comes, broken between words where a terminal would break it inside of one.

use unicode_width::UnicodeWidthChar;

/// Wraps a stream of pieces. A word waits until it is whole: only then is it known whether it fits the line.
pub struct Wrap {
    /// Of a line. `None` changes nothing: the text goes to a file or a pipe.
    columns: Option<usize>,
    /// Columns of the line that are taken.
    used: usize,
    /// The spaces before `word`.
    spaces: String,
    word: String,
}

impl Wrap {
    /// Text for a terminal is wrapped; other text is not touched.
    pub fn for_stdout() -> Self {
        use std::io::IsTerminal;
        let columns = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self::new(if std::io::stdout().is_terminal() { columns() } else { None })
    }

    fn new(columns: Option<usize>) -> Self {
        Self { columns: columns.filter(|&columns| columns > 0), used: 0, spaces: String::new(), word: String::new() }
    }

    /// Takes a piece and returns what can be shown.
    pub fn push(&mut self, piece: &str) -> String {
        let Some(columns) = self.columns else { return piece.to_owned() };
        let mut out = String::new();
        for c in piece.chars() {
            match c {
                '\n' => {
                    self.end_word(columns, &mut out);
                    // At the end of a line, spaces are nothing to see.
                    self.spaces.clear();
                    out.push('\n');
                    self.used = 0;
                }
                ' ' => {
                    self.end_word(columns, &mut out);
                    self.spaces.push(' ');
                }
                c => {
                    // A line may end before and behind any of the wide characters of East Asia, which have no spaces.
                    let is_wide = c.width() == Some(2);
                    if is_wide {
                        self.end_word(columns, &mut out);
                    }
                    self.word.push(c);
                    if is_wide {
                        self.end_word(columns, &mut out);
                    }
                }
            }
        }
        out
    }

    /// Returns what still waits. The next text begins a line.
    pub fn finish(&mut self) -> String {
        let mut out = String::new();
        if let Some(columns) = self.columns {
            self.end_word(columns, &mut out);
            out += &std::mem::take(&mut self.spaces);
        }
        self.used = 0;
        out
    }

    /// Writes the word that waits, on a new line if it does not fit this one. One that fits no line is left to the terminal.
    fn end_word(&mut self, columns: usize, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let width: usize = self.word.chars().map(|c| c.width().unwrap_or(0)).sum();
        let spaces = std::mem::take(&mut self.spaces);
        if self.used + spaces.len() + width > columns && self.used > 0 && width <= columns {
            out.push('\n');
            self.used = 0;
        } else {
            self.used += spaces.len();
            *out += &spaces;
        }
        *out += &self.word;
        self.used += width;
        if width > columns {
            self.used %= columns;
        }
        self.word.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(columns: usize, pieces: &[&str]) -> String {
        let mut wrap = Wrap::new(Some(columns));
        let mut out: String = pieces.iter().map(|piece| wrap.push(piece)).collect();
        out += &wrap.finish();
        out
    }

    #[test]
    fn lines_end_between_words_however_the_text_is_cut() {
        for text in [&["a girl named Ruby"][..], &["a gi", "rl nam", "ed Ru", "by"], &["a", " girl", " named", " Ruby"]]
        {
            assert_eq!(wrapped(8, text), "a girl\nnamed\nRuby");
            assert_eq!(wrapped(12, text), "a girl named\nRuby");
            assert_eq!(wrapped(80, text), "a girl named Ruby");
        }
        assert_eq!(wrapped(8, &["two\n\nlines, ", "  three"]), "two\n\nlines,\nthree");
        assert_eq!(wrapped(4, &["aliferous b"]), "aliferous b", "no line holds it");
        assert_eq!(wrapped(5, &["女の子がいる"]), "女の\n子が\nいる", "two columns each");
    }

    #[test]
    fn only_a_word_is_held_back() {
        let mut wrap = Wrap::new(Some(20));
        assert_eq!([wrap.push("Once up"), wrap.push("on "), wrap.finish()], ["Once", " upon", " "]);
        let mut wrap = Wrap::new(None);
        assert_eq!([wrap.push("Once  up"), wrap.push("on\n "), wrap.finish()], ["Once  up", "on\n ", ""]);
    }
}
