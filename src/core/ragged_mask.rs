//! The ragged causal mask: who attends to whom in a batch. Kernels never store it; this is for tests and for people.

use std::fmt;

use crate::core::batch_builder::RaggedBatch;

/// A view of a batch as a matrix: a row per query, a column per key that is computed in this same step.
///
/// The square is block diagonal, for sequences do not see each other, and each block is a lower triangle. What a
/// sequence has in the KV cache lies to the left of the square, and each of its rows sees all of it.
#[derive(Clone, Copy, Debug)]
pub struct RaggedMask<'a> {
    batch: &'a RaggedBatch,
}

impl<'a> RaggedMask<'a> {
    /// The mask of a batch.
    pub fn new(batch: &'a RaggedBatch) -> Self {
        Self { batch }
    }

    /// Which sequence of the batch a row belongs to.
    pub fn seq_of_row(&self, row: usize) -> usize {
        self.batch.cu_seqlens_q.partition_point(|&start| start as usize <= row) - 1
    }

    /// Whether the token of batch row `query` attends to the token of batch row `key`.
    pub fn attends(&self, query: usize, key: usize) -> bool {
        self.seq_of_row(query) == self.seq_of_row(key) && key <= query
    }

    /// How many tokens in the KV cache a row attends to besides: all of its sequence.
    pub fn num_cached(&self, query: usize) -> usize {
        self.batch.context_lens[self.seq_of_row(query)] as usize
    }
}

impl fmt::Display for RaggedMask<'_> {
    /// The token table, and the mask beside it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " row  seq   pos   slot │ cached │ this step")?;
        for row in 0..self.batch.num_tokens() {
            let (seq, cached) = (self.seq_of_row(row), self.num_cached(row));
            let (position, slot) = (self.batch.positions[row], self.batch.slot_mapping[row]);
            write!(f, "{row:4} {seq:4} {position:5} {slot:6} │ {cached:6} │")?;
            for key in 0..self.batch.num_tokens() {
                write!(f, " {}", if self.attends(row, key) { '■' } else { '·' })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batch drawn at [`RaggedBatch`], block size 4: A in block 7 and 1, B in blocks 2 and 0.
    #[test]
    fn prints_the_token_table_and_the_mask() {
        let batch = RaggedBatch {
            block_size: 4,
            token_ids: vec![103, 104, 205],
            sample_indices: Vec::new(),
            positions: vec![3, 4, 5],
            slot_mapping: vec![31, 4, 1],
            cu_seqlens_q: vec![0, 2, 3],
            context_lens: vec![3, 5],
            num_known: Vec::new(),
            block_table_offsets: vec![0, 2, 4],
            block_table: vec![7, 1, 2, 0],
            logit_indices: vec![1, 2],
        };
        let expected = [
            " row  seq   pos   slot │ cached │ this step",
            "   0    0     3     31 │      3 │ ■ · ·",
            "   1    0     4      4 │      3 │ ■ ■ ·",
            "   2    1     5      1 │      5 │ · · ■",
        ];
        assert_eq!(RaggedMask::new(&batch).to_string().lines().collect::<Vec<_>>(), expected);
    }
}
