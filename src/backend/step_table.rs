//! The step table: all the per-step index arrays of a [`RaggedBatch`] in one buffer of words, so that a kernel binds one
//! buffer and finds each array by an offset in its params.

use crate::core::batch_builder::RaggedBatch;

/// Most packed query rows that one work item of `ragged_attention` covers. The kernel keeps `rows · head_dim` f32 of
/// queries in workgroup memory and as many accumulators in registers, so wider heads get fewer rows (8 KiB of each).
pub fn query_tile_rows(head_dim: usize) -> usize {
    (2048 / head_dim).clamp(1, 16)
}

/// Which kernel attends for sequences with one query row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeRows {
    /// `paged_attention`, which is made for them.
    Paged,
    /// `ragged_attention`, as for all others: then a row's way does not depend on how its prompt was cut.
    Ragged,
}

/// One step's index arrays, packed, with the place of each.
#[derive(Clone, Debug, Default)]
pub struct StepTable {
    /// The packed words.
    pub words: Vec<u32>,
    /// `[num_tokens]` token ids, or where `from_choices` is 1 rows of the last step's choices, which are yet to be known.
    pub token_ids: u32,
    /// 1 or 0.
    pub from_choices: u32,
    /// `[num_tokens]`
    pub positions: u32,
    /// `[num_tokens]`
    pub slot_mapping: u32,
    /// `[num_seqs + 1]`
    pub cu_seqlens_q: u32,
    /// `[num_seqs]`
    pub context_lens: u32,
    /// `[num_seqs + 1]`
    pub block_table_offsets: u32,
    /// All block tables, one after the other.
    pub block_table: u32,
    /// Rows whose logits are wanted.
    pub logit_indices: u32,
    /// `[num_paged_items]` sequences with one query row, if they have a way of their own.
    pub paged_items: u32,
    /// Work items of `paged_attention`.
    pub num_paged_items: u32,
    /// `[num_ragged_items, 2]` (sequence, first packed row) of sequences with several query rows.
    pub ragged_items: u32,
    /// Work items of `ragged_attention`.
    pub num_ragged_items: u32,
}

impl StepTable {
    /// Packs a batch, reusing the words' memory. `group` query heads share a KV head.
    pub fn pack(&mut self, batch: &RaggedBatch, group: usize, head_dim: usize, decode: DecodeRows) {
        self.words.clear();
        self.from_choices = !batch.sampled_by.is_empty() as u32;
        self.token_ids = self.append(if batch.sampled_by.is_empty() { &batch.token_ids } else { &batch.sampled_by });
        self.positions = self.append(&batch.positions);
        self.slot_mapping = self.append(&batch.slot_mapping);
        self.cu_seqlens_q = self.append(&batch.cu_seqlens_q);
        self.context_lens = self.append(&batch.context_lens);
        self.block_table_offsets = self.append(&batch.block_table_offsets);
        self.block_table = self.append(&batch.block_table);
        self.logit_indices = self.append(&batch.logit_indices);

        let query_lens = || batch.cu_seqlens_q.windows(2).map(|ends| ends[1] - ends[0]).zip(0u32..);
        self.paged_items = self.append(&[]);
        let is_paged = |query_len| query_len == 1 && decode == DecodeRows::Paged;
        self.words.extend(query_lens().filter(|&(query_len, _)| is_paged(query_len)).map(|(_, seq)| seq));
        self.num_paged_items = self.len() - self.paged_items;

        self.ragged_items = self.append(&[]);
        let tile_rows = query_tile_rows(head_dim);
        for (query_len, seq) in query_lens().filter(|&(query_len, _)| !is_paged(query_len)) {
            let packed_rows = query_len * group as u32;
            self.words.extend((0..packed_rows).step_by(tile_rows).flat_map(|first_row| [seq, first_row]));
        }
        self.num_ragged_items = (self.len() - self.ragged_items) / 2;
    }

    /// Words that a step of these limits can need at most.
    pub fn max_words(limits: &crate::EngineConfig, group: usize, head_dim: usize) -> usize {
        let tokens = limits.max_tokens_per_step;
        let seqs = limits.max_num_seqs.min(tokens);
        let tiles = (tokens * group).div_ceil(query_tile_rows(head_dim)) + seqs;
        // Three words a token; cu_seqlens_q and block_table_offsets have one end more than there are sequences.
        3 * tokens + 5 * seqs + 2 + limits.num_kv_blocks + 2 * tiles
    }

    fn append(&mut self, words: &[u32]) -> u32 {
        let offset = self.len();
        self.words.extend_from_slice(words);
        offset
    }

    fn len(&self) -> u32 {
        self.words.len() as u32
    }
}
