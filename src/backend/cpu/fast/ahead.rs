//! Fetching weights before they are needed.
//!
//! A core that reads one stream of memory waits most of the time: its prefetcher runs only so far ahead, and not across
//! pages. It reads nearly twice as much from four places in turns. So four panels are multiplied together, a block of columns
//! after the other, and meanwhile a word of each cache line of the next block is read, of all four in turns.
//!
//! ```text
//!              block b      block b + 1
//!   panel 0  │ multiplied │ 0 4 8 …  │      read in this order, a line for each line that is multiplied
//!   panel 1  │            │ 1 5 9 …  │
//!   panel 2  │            │ 2 6 10 … │
//!   panel 3  │            │ 3 7 11 … │
//! ```

use super::panels::Panels;
use std::hint::black_box;

/// Panels that are multiplied together.
pub const TOGETHER: usize = 4;
/// Words of a cache line.
const CACHE_LINE: usize = 16;

/// A block of columns that is being read.
pub struct Ahead<'a> {
    /// From the block on.
    words: &'a [u32],
    panel_words: usize,
    next: usize,
    lines_read: usize,
    num_lines: usize,
    seen: u32,
}

impl<'a> Ahead<'a> {
    /// Columns of [`TOGETHER`] panels, or as many as there are.
    #[inline(always)]
    pub fn new(weights: &'a Panels, first_panel: usize, first_col: usize, num_cols: usize) -> Self {
        let (words, panel_words, block_words) = weights.words_from(first_panel, first_col, num_cols);
        let num_lines = TOGETHER * block_words.div_ceil(CACHE_LINE);
        Self { words, panel_words, next: 0, lines_read: 0, num_lines, seen: 0 }
    }

    /// Reads a word of the next line, if there is one.
    #[inline(always)]
    pub fn read_line(&mut self) {
        if self.lines_read < self.num_lines {
            self.seen ^= self.words.get(self.next).copied().unwrap_or_default();
            self.lines_read += 1;
            self.next += self.panel_words;
            if self.lines_read.is_multiple_of(TOGETHER) {
                self.next -= TOGETHER * self.panel_words - CACHE_LINE;
            }
        }
    }

    /// Reads what is left.
    #[inline(always)]
    pub fn read_all(mut self) {
        while self.lines_read < self.num_lines {
            self.read_line();
        }
        black_box(self.seen);
    }
}
