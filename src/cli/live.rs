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
        let mut newest: Vec<char> = first_columns(self.text.chars().rev(), TEXT_COLUMNS).collect();
        newest.reverse();
        format!("{} {title}{padding} │{}\n", self.mark, String::from_iter(newest))
    }
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
