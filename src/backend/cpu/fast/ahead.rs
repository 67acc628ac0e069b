//! Fetching weights before they are needed.
//!
//! A core that reads one stream of memory waits most of the time: its own prefetcher runs only so far ahead, and not across
//! pages. It reads nearly twice as much from four places in turns. So four panels are multiplied together, a block of columns
//! after the other. Meanwhile the next block of all four is fetched into the cache, a line for each line that is multiplied.
//! To fetch is to ask: unlike a load it holds nothing up until the data comes.
//!
//! ```text
//!              block b      block b + 1
//!   panel 0  │ multiplied │ 0 4 8 …  │      fetched in this order
//!   panel 1  │            │ 1 5 9 …  │
//!   panel 2  │            │ 2 6 10 … │
//!   panel 3  │            │ 3 7 11 … │
//! ```

use super::panels::Panels;
use prefetch_index::prefetch_index;

/// Panels that are multiplied together.
pub const TOGETHER: usize = 4;
/// Words of a cache line.
const CACHE_LINE: usize = 16;

/// A block of columns that is being fetched.
pub struct Ahead<'a> {
    /// From the block on.
    words: &'a [u32],
    panel_words: usize,
    num_lines: usize,
    /// The next one.
    line: usize,
    /// Of that line, the panel that is next.
    panel: usize,
}

impl<'a> Ahead<'a> {
    /// Columns of [`TOGETHER`] panels, or as many as there are.
    #[inline(always)]
    pub fn new(weights: &'a Panels, first_panel: usize, first_col: usize, num_cols: usize) -> Self {
        let (words, panel_words, block_words) = weights.words_from(first_panel, first_col, num_cols);
        Self { words, panel_words, num_lines: block_words.div_ceil(CACHE_LINE), line: 0, panel: 0 }
    }

    /// Fetches the next line, if there is one.
    #[inline(always)]
    pub fn fetch(&mut self) {
        if self.line >= self.num_lines {
            return;
        }
        prefetch_index(self.words, self.panel * self.panel_words + self.line * CACHE_LINE);
        self.panel += 1;
        if self.panel == TOGETHER {
            (self.panel, self.line) = (0, self.line + 1);
        }
    }

    /// Fetches what is left.
    #[inline(always)]
    pub fn fetch_all(mut self) {
        while self.line < self.num_lines {
            self.fetch();
        }
    }
}
