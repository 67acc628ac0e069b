//! The ragged batch: the token table of one step, as flat arrays, without padding.

use crate::ids::TokenId;

/// What one step computes, as a table of token rows. Rows of one sequence are contiguous and in order of position.
///
/// ```text
/// sequences        A: context 3, query 2      B: context 5, query 1
/// row              0    1                     2
/// token_ids        a3   a4                    b5
/// positions        3    4                     5
/// cu_seqlens_q     0                          2                        3
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RaggedBatch {
    /// Tokens per KV block.
    pub block_size: u32,
    /// `[num_tokens]` what to embed.
    pub token_ids: Vec<TokenId>,
    /// `[num_tokens]` position of each row within its sequence.
    pub positions: Vec<u32>,
    /// `[num_tokens]` where the row's K and V go: block_id * block_size + offset.
    pub slot_mapping: Vec<u32>,
    /// `[num_seqs + 1]` prefix sums of query_len; the first is 0.
    pub cu_seqlens_q: Vec<u32>,
    /// `[num_seqs]` tokens of each sequence in the KV cache before this step.
    pub context_lens: Vec<u32>,
    /// `[num_seqs + 1]` where each sequence's blocks begin in `block_table`.
    pub block_table_offsets: Vec<u32>,
    /// Physical blocks of all sequences, one after the other, in logical order.
    pub block_table: Vec<u32>,
    /// Rows whose logits are wanted: the last row of each sequence that samples in this step.
    pub logit_indices: Vec<u32>,
}
