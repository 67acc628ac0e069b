//! The live view of a run: a row per prompt that fills as its tokens arrive, above a status line. It is drawn on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Rows shown at most; more would not fit a terminal, and the status line counts them all.
const MAX_ROWS: usize = 16;
/// Columns for the prompt that a row begins with, and for the newest text that it ends with: 74 in all with what is
/// between them.
const TITLE_COLUMNS: usize = 18;
const TEXT_COLUMNS: usize = 52;

/// Rows and a status line, or nothing at all.
pub struct Live {
    /// All of it is the message of one bar, so that all is drawn at once.
    bar: ProgressBar,
    rows: Vec<Row>,
    status: String,
}

/// What one prompt has brought.
struct Row {
    mark: char,
    title: String,
    text: String,
}

impl Live {
    /// Draws nothing.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), rows: Vec::new(), status: String::new() }
    }

    /// A row for each title.
    pub fn on_stderr(titles: &[String]) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let row = |title: &String| Row { mark: ' ', title: one_line(title), text: String::new() };
        Self { bar, rows: titles.iter().take(MAX_ROWS).map(row).collect(), status: String::new() }
    }

    /// New text of a row; drawn with the next status.
    pub fn text(&mut self, row_idx: usize, text: &str) {
        if let Some(row) = self.rows.get_mut(row_idx) {
            row.text.push_str(&one_line(text));
        }
    }

    /// A row's prompt has ended.
    pub fn finish(&mut self, row_idx: usize) {
        if let Some(row) = self.rows.get_mut(row_idx) {
            row.mark = '■';
        }
    }

    /// Draws all, with this line below the rows.
    pub fn draw(&mut self, status: String) {
        self.status = status;
        let rows: String = self.rows.iter().map(Row::line).collect();
        self.bar.set_message(rows + &self.status);
    }

    /// Does something that writes to the terminal, with nothing drawn meanwhile.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Wipes everything away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Row {
    fn line(&self) -> String {
        let title: String = first_columns(self.title.chars(), TITLE_COLUMNS).collect();
        let padding = " ".repeat(TITLE_COLUMNS.saturating_sub(title.width()));
        format!("{} {title}{padding} │{}\n", self.mark, newest_words(&self.text, TEXT_COLUMNS))
    }
}

/// The end of a text that fits, from the beginning of a word on; without one, as much as fits.
fn newest_words(text: &str, columns: usize) -> &str {
    let len: usize = first_columns(text.chars().rev(), columns).map(char::len_utf8).sum();
    let (before, newest) = text.split_at(text.len() - len);
    let is_cut = before.chars().next_back().is_some_and(|c| c != ' ') && !newest.starts_with(' ');
    let next_word = newest.find(' ').filter(|_| is_cut).unwrap_or(0);
    &newest[next_word..]
}

/// As many characters as fill this many columns of a terminal.
fn first_columns(text: impl Iterator<Item = char>, columns: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    text.take_while(move |c| {
        used += c.width().unwrap_or(0);
        used <= columns
    })
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::newest_words;

    #[test]
    fn a_row_begins_with_a_whole_word() {
        assert_eq!(newest_words("a girl named Ruby", 17), "a girl named Ruby");
        assert_eq!(newest_words("a girl named Ruby", 8), " Ruby");
        assert_eq!(newest_words("a girl named Ruby", 10), "named Ruby");
        assert_eq!(newest_words("aliferous", 4), "rous", "no word begins there");
        assert_eq!(newest_words("ab 女の子", 5), "の子", "two columns each");
    }
}
