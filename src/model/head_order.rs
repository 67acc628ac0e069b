//! How the values of a head lie in memory, where that differs from the checkpoint.
//!
//! ```text
//! checkpoint   [ turning, first of each pair )[ turning, second of each pair )[ not turning )
//! kernel       [ first of each pair )[ not turning, 0 … )[ second of each pair )[ not turning, 0 … )
//! ```
//!
//! The checkpoint turns values `i` and `i + rotary_dim / 2`; the kernel turns `i` and `i + head_dim / 2`, and its heads are
//! a multiple of 8 wide. So rows of Q and K are put in the kernel's order when they are loaded, and zeros stand where a head
//! of the checkpoint is too narrow. Scores are sums over all values of a head: any order does which is the same for Q and K,
//! and zeros add nothing. Those of V give values of 0, which meet columns of 0 in `o_proj`.

/// The order of a head's values for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadOrder {
    stored: usize,
    head_dim: usize,
    rotary_dim: usize,
}

impl HeadOrder {
    /// The order for heads of which the checkpoint has `stored` values, the kernel `head_dim`, and of which `rotary_dim`
    /// turn. `None` where the checkpoint has it already.
    pub fn new(stored: usize, head_dim: usize, rotary_dim: usize) -> Option<Self> {
        let is_same = stored == head_dim && (rotary_dim == 0 || rotary_dim == head_dim);
        (!is_same).then_some(Self { stored, head_dim, rotary_dim })
    }

    /// Values of a head in the checkpoint.
    pub fn stored(self) -> usize {
        self.stored
    }

    /// Which of the checkpoint's values comes at `i`: of each half of the head first those that turn. `None`: a 0.
    pub fn source(self, i: usize) -> Option<usize> {
        let (half, turning) = (self.head_dim / 2, self.rotary_dim / 2);
        let still = half - turning;
        let source = match (i / half, i % half) {
            (second, i) if i < turning => second * turning + i,
            (second, i) => self.rotary_dim + second * still + i - turning,
        };
        (source < self.stored).then_some(source)
    }

    /// How many values the kernel has for so many of the checkpoint, whole heads.
    pub fn padded(self, num_stored: usize) -> usize {
        num_stored / self.stored * self.head_dim
    }

    /// Rows of whole heads in order, and the zeros between them.
    pub fn apply(self, rows: &[f32], row_len: usize, ordered: &mut Vec<f32>) {
        ordered.clear();
        for head in rows.chunks_exact(self.stored * row_len) {
            for i in 0..self.head_dim {
                match self.source(i) {
                    Some(source) => ordered.extend_from_slice(&head[source * row_len..][..row_len]),
                    None => ordered.resize(ordered.len() + row_len, 0.0),
                }
            }
        }
    }
}
