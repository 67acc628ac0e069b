//! The order of the values of a head, where only its first ones turn.
//!
//! The checkpoint turns values `i` and `i + rotary_dim / 2`; the kernel turns `i` and `i + head_dim / 2`. Rows of Q and K
//! are put in the kernel's order when they are loaded. Scores are sums over all values of a head, so that any order does
//! which is the same for Q and K.

/// The order of a head's values for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadOrder {
    head_dim: usize,
    rotary_dim: usize,
}

impl HeadOrder {
    /// The order for heads of which `rotary_dim` values turn; `None` where the checkpoint has it already.
    pub fn new(head_dim: usize, rotary_dim: usize) -> Option<Self> {
        (rotary_dim < head_dim).then_some(Self { head_dim, rotary_dim })
    }

    /// Values of a head.
    pub fn head_dim(self) -> usize {
        self.head_dim
    }

    /// Which of the checkpoint's values comes at `i`: of each half of the head first those that turn.
    pub fn source(self, i: usize) -> usize {
        let (half, turning) = (self.head_dim / 2, self.rotary_dim / 2);
        let still = half - turning;
        match (i / half, i % half) {
            (second, i) if i < turning => second * turning + i,
            (second, i) => self.rotary_dim + second * still + i - turning,
        }
    }

    /// Puts rows of whole heads in order. `scratch` is working memory.
    pub fn apply(self, rows: &mut [f32], row_len: usize, scratch: &mut Vec<f32>) {
        for head in rows.chunks_exact_mut(self.head_dim * row_len) {
            scratch.clear();
            scratch.extend_from_slice(head);
            for (i, row) in head.chunks_exact_mut(row_len).enumerate() {
                row.copy_from_slice(&scratch[self.source(i) * row_len..][..row_len]);
            }
        }
    }
}
