//! The attention metadata: all index arrays of a [`RaggedBatch`] in one buffer of words, so that a kernel binds one
//! buffer and finds each array by an offset in its params.

use super::params::AttentionParams;
use super::splits::{attended, max_num_splits, splits};
use crate::core::batch_builder::RaggedBatch;
use bytemuck::Zeroable;

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

/// What the attention kernels' work depends on besides the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Query heads that share a KV head.
    pub group: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Windows of the layers, each once: a query sees so many tokens, `u32::MAX` all.
    pub windows: Vec<u32>,
}

/// What `paged_attention` and `merge_splits` have to do in layers with one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagedWork {
    window: u32,
    /// `[num_items, 3]` (sequence, first token, end token): the sequences with one split, then the splits of the others.
    pub items: u32,
    /// Work items of `paged_attention`.
    pub num_items: u32,
    /// The first so many are whole sequences.
    pub num_whole: u32,
    /// `[num_merges, 3]` (row, first split, end split) of sequences with several, whose splits are counted from 0.
    pub merges: u32,
    /// Work items of `merge_splits`.
    pub num_merges: u32,
}

/// One step's index arrays, packed, with the place of each.
#[derive(Clone, Debug, Default)]
pub struct AttentionMetadata {
    /// The packed words.
    pub words: Vec<u32>,
    /// `[num_tokens]` token ids, or where `from_sampled` is 1 rows of the last step's sampled tokens, not known yet.
    pub token_ids: u32,
    /// 1 or 0.
    pub from_sampled: u32,
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
    /// Sequences with one query row, if they have a way of their own: their work for each window.
    paged: Vec<PagedWork>,
    /// `[num_ragged_items, 2]` (sequence, first packed row) of sequences with several query rows.
    pub ragged_items: u32,
    /// Work items of `ragged_attention`.
    pub num_ragged_items: u32,
    /// Items of splits, which wait until those of whole sequences are in `words`. Empty but while packing, as `merges`.
    splits: Vec<u32>,
    /// Items of `merge_splits`, which come after the splits.
    merges: Vec<u32>,
}

impl AttentionMetadata {
    /// Packs a batch, reusing the words' memory.
    pub fn pack(&mut self, batch: &RaggedBatch, shape: &AttentionShape, decode: DecodeRows) {
        self.words.clear();
        self.from_sampled = !batch.sample_indices.is_empty() as u32;
        self.token_ids =
            self.append(if batch.sample_indices.is_empty() { &batch.token_ids } else { &batch.sample_indices });
        self.positions = self.append(&batch.positions);
        self.slot_mapping = self.append(&batch.slot_mapping);
        self.cu_seqlens_q = self.append(&batch.cu_seqlens_q);
        self.context_lens = self.append(&batch.context_lens);
        self.block_table_offsets = self.append(&batch.block_table_offsets);
        self.block_table = self.append(&batch.block_table);
        self.logit_indices = self.append(&batch.logit_indices);

        let is_paged = |query_len| query_len == 1 && decode == DecodeRows::Paged;
        self.paged.clear();
        for &window in &shape.windows {
            let work = self.append_paged(batch, window, is_paged);
            self.paged.push(work);
        }

        self.ragged_items = self.append(&[]);
        let tile_rows = query_tile_rows(shape.head_dim);
        for (seq, query_len) in (0..).zip(query_lens(batch)).filter(|&(_, query_len)| !is_paged(query_len)) {
            let packed_rows = query_len * shape.group as u32;
            self.words.extend((0..packed_rows).step_by(tile_rows).flat_map(|first_row| [seq, first_row]));
        }
        self.num_ragged_items = (self.len() - self.ragged_items) / 2;
    }

    /// The work on sequences with one query row in layers with this window, one of the shape's.
    pub fn paged(&self, window: u32) -> PagedWork {
        let of_window = self.paged.iter().find(|work| work.window == window);
        *of_window.expect("the shape lists every window")
    }

    /// Where the attention kernels find their arrays; all else is 0.
    pub fn attention_params(&self) -> AttentionParams {
        AttentionParams {
            cu_seqlens_q_offset: self.cu_seqlens_q,
            context_lens_offset: self.context_lens,
            block_table_offsets_offset: self.block_table_offsets,
            block_table_offset: self.block_table,
            ..Zeroable::zeroed()
        }
    }

    fn append_paged(&mut self, batch: &RaggedBatch, window: u32, is_paged: impl Fn(u32) -> bool) -> PagedWork {
        let items = self.len();
        for (seq, _) in (0..).zip(query_lens(batch)).filter(|&(_, query_len)| is_paged(query_len)) {
            let splits = splits(attended(batch.context_lens[seq as usize], window));
            let is_whole = splits.len() == 1;
            if !is_whole {
                let first = self.splits.len() as u32 / 3;
                self.merges.extend([batch.cu_seqlens_q[seq as usize], first, first + splits.len() as u32]);
            }
            let list = if is_whole { &mut self.words } else { &mut self.splits };
            list.extend(splits.flat_map(|tokens| [seq, tokens.start, tokens.end]));
        }
        let num_whole = (self.len() - items) / 3;
        self.words.append(&mut self.splits);
        let merges = self.len();
        self.words.append(&mut self.merges);
        let (num_items, num_merges) = ((merges - items) / 3, (self.len() - merges) / 3);
        PagedWork { window, items, num_items, num_whole, merges, num_merges }
    }

    /// Words that a step of these limits can need at most.
    pub fn max_words(config: &crate::EngineConfig, shape: &AttentionShape) -> usize {
        let tokens = config.max_tokens_per_step;
        let seqs = config.max_num_seqs.min(tokens);
        let tiles = (tokens * shape.group).div_ceil(query_tile_rows(shape.head_dim)) + seqs;
        // A sequence that is merged has two splits or more.
        let splits = max_num_splits(config);
        let paged = 3 * (seqs + splits) + 3 * (splits / 2);
        // Three words a token; cu_seqlens_q and block_table_offsets have one end more than there are sequences.
        3 * tokens + 4 * seqs + 2 + config.num_kv_blocks + shape.windows.len() * paged + 2 * tiles
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

fn query_lens(batch: &RaggedBatch) -> impl Iterator<Item = u32> {
    batch.cu_seqlens_q.windows(2).map(|ends| ends[1] - ends[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequences of (context_len, query_len), all in block 0.
    fn batch(seqs: &[(u32, u32)]) -> RaggedBatch {
        let ends = seqs.iter().scan(0, |end, &(_, query_len)| {
            *end += query_len;
            Some(*end)
        });
        RaggedBatch {
            block_size: 256,
            cu_seqlens_q: std::iter::once(0).chain(ends).collect(),
            context_lens: seqs.iter().map(|&(context_len, _)| context_len).collect(),
            block_table_offsets: vec![0; seqs.len() + 1],
            ..RaggedBatch::default()
        }
    }

    fn triples(table: &AttentionMetadata, offset: u32, count: u32) -> Vec<[u32; 3]> {
        let words = &table.words[offset as usize..][..3 * count as usize];
        words.chunks_exact(3).map(|triple| [triple[0], triple[1], triple[2]]).collect()
    }

    const SEQS: [(u32, u32); 4] = [(1200, 1), (7, 2), (511, 1), (512, 1)];

    #[test]
    fn whole_sequences_come_first_then_the_splits_of_the_others() {
        let mut table = AttentionMetadata::default();
        let shape = AttentionShape { group: 2, head_dim: 64, windows: vec![u32::MAX, 700] };
        table.pack(&batch(&SEQS), &shape, DecodeRows::Paged);

        let all = table.paged(u32::MAX);
        let whole = [[2, 0, 512]];
        let split = [[0, 0, 512], [0, 512, 1024], [0, 1024, 1201], [3, 0, 512], [3, 512, 513]];
        assert_eq!(triples(&table, all.items, all.num_items), [&whole[..], &split].concat());
        assert_eq!(all.num_whole, 1);
        // The rows of sequences 0 and 3.
        assert_eq!(triples(&table, all.merges, all.num_merges), [[0, 0, 3], [4, 3, 5]]);

        let windowed = table.paged(700);
        let split = [[0, 501, 1013], [0, 1013, 1201], [3, 0, 512], [3, 512, 513]];
        assert_eq!(triples(&table, windowed.items, windowed.num_items), [&whole[..], &split].concat());
        assert_eq!(triples(&table, windowed.merges, windowed.num_merges), [[0, 0, 2], [4, 2, 4]]);

        assert_eq!(table.words[table.ragged_items as usize..], [1, 0]);
    }

    #[test]
    fn where_rows_have_one_way_none_is_split() {
        let mut table = AttentionMetadata::default();
        let shape = AttentionShape { group: 2, head_dim: 64, windows: vec![u32::MAX] };
        table.pack(&batch(&SEQS), &shape, DecodeRows::Ragged);
        assert_eq!((table.paged(u32::MAX).num_items, table.paged(u32::MAX).num_merges), (0, 0));
        assert_eq!(table.num_ragged_items, 4);
    }
}
