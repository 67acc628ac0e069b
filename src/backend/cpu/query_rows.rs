//! The rows that attention is asked for, and where the K and V of their tokens lie.

use crate::backend::params::AttentionParams;
use std::ops::Range;

/// A query row, the sequence it belongs to, and the tokens of that to attend to.
#[derive(Clone, Debug)]
pub(super) struct QueryRow {
    pub row: usize,
    pub seq: usize,
    pub attended: Range<u32>,
}

/// Where one KV head of a sequence lies in the pools.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadPlace<'a> {
    pub kv_head: usize,
    num_kv_heads: usize,
    /// Of the tokens of a block, which is a power of two.
    block_bits: u32,
    head_dim: usize,
    /// The sequence's block table, and what follows it.
    blocks: &'a [u32],
}

impl<'a> HeadPlace<'a> {
    pub fn new(p: &AttentionParams, step: &'a [u32], seq: usize, kv_head: usize) -> Self {
        let first = p.block_table_offset as usize + step[p.block_table_offsets_offset as usize + seq] as usize;
        Self {
            kv_head,
            num_kv_heads: p.num_kv_heads as usize,
            block_bits: p.block_size.ilog2(),
            head_dim: p.head_dim as usize,
            blocks: &step[first..],
        }
    }

    /// The first element of a token's K or V: pools are `[num_blocks, num_kv_heads, block_size, head_dim]`.
    #[inline(always)]
    pub fn of_token(&self, token: usize) -> usize {
        let (block, offset) = (token >> self.block_bits, token & ((1 << self.block_bits) - 1));
        let of_head = self.blocks[block] as usize * self.num_kv_heads + self.kv_head;
        ((of_head << self.block_bits) + offset) * self.head_dim
    }

    /// Stretches of tokens that lie one after the other: the first, where it begins, and how many.
    #[inline(always)]
    pub fn stretches(&self, tokens: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut first = tokens.start;
        std::iter::from_fn(move || {
            let end = tokens.end.min(((first >> self.block_bits) + 1) << self.block_bits);
            let stretch = (first < end).then(|| (first, self.of_token(first), end - first));
            first = end;
            stretch
        })
    }
}
