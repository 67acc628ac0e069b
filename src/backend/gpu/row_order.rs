//! In which order the rows of a weight matrix lie on the device.

/// Rows that lie together in [`RowOrder::Interleaved`]: two times `const PAIRS_TOGETHER` of shaders/shared/packet.wgsl.
pub(super) const ROWS_TOGETHER: usize = 8;
/// The fast linears take x in pieces of eight vec4s.
const INTERLEAVED_WIDTH: usize = 32;

/// In which order the rows of a matrix lie in memory. A packet is 16 bytes of one row.
///
/// ```text
///   one by one    row 0: packet 0, packet 1, …   row 1: packet 0, packet 1, …
///   interleaved   packet 0 of rows 0 to 7, packet 1 of rows 0 to 7, …   packet 0 of rows 8 to 15, …
/// ```
///
/// A thread of `linear` owns columns of the output, which are rows of the weight. Interleaved, neighbouring threads read 128
/// bytes in one piece, and go on from there. Scales of quantized elements lie in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowOrder {
    /// As in the checkpoint.
    OneByOne,
    /// Eight rows together.
    Interleaved,
}

impl RowOrder {
    /// Interleaved if the fast linears take rows of this width.
    pub(super) fn best(cols: usize) -> Self {
        if cols.is_multiple_of(INTERLEAVED_WIDTH) { Self::Interleaved } else { Self::OneByOne }
    }

    /// Rows that lie together.
    pub fn interleave(self) -> usize {
        match self {
            Self::OneByOne => 1,
            Self::Interleaved => ROWS_TOGETHER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::Kernel;

    #[test]
    fn as_many_rows_lie_together_as_the_wgsl_takes() {
        let constant = format!("\nconst PAIRS_TOGETHER = {}u;", ROWS_TOGETHER / 2);
        assert!(Kernel::LinearTiles.source().wgsl().contains(&constant), "packet.wgsl has no {constant:?}");
    }
}
