//! How decode attention splits a long sequence. A batch of few sequences has few (sequence, KV head) to give to workgroups,
//! and a large GPU idles; so the tokens that a row attends to are cut into splits, a work item each, and `merge_splits`
//! puts together what they bring (Flash-Decoding, Dao et al. 2023; version 2 of vLLM's paged attention).

use crate::config::EngineConfig;
use std::ops::Range;

/// Up to so many tokens attended to, splits have this length. Longer ones for longer sequences: what is kept of each split
/// is written and read once more, and a sequence has no more than 64 splits up to 131,072 tokens.
const SPLIT_LENS: [(u32, u32); 3] = [(4096, SHORTEST_SPLIT), (32_768, 1024), (u32::MAX, 2048)];
/// Rows that attend to no more tokens than this have one split.
const SHORTEST_SPLIT: u32 = 512;

/// The tokens that a row attends to: a window sees so many of the last, `u32::MAX` all.
pub fn attended(position: u32, window: u32) -> Range<u32> {
    let end = position + 1;
    end.saturating_sub(window)..end
}

/// The splits of a row's tokens, none of them empty. They follow from the row's own sequence alone, so that it is added up
/// in one order whatever else is in the batch.
///
/// ```text
/// [0, first)                    outside the sliding window
/// [first, first + n)            split 0; n follows from end - first
/// [first + n, first + 2 n)      split 1
/// …
/// [first + k n, end)            the last, 1 to n tokens long
/// [end, seq_len)                the future
/// ```
pub fn splits(attended: Range<u32>) -> impl ExactSizeIterator<Item = Range<u32>> {
    let Range { start, end } = attended;
    let len = split_len(end - start);
    let num_splits = (end - start).div_ceil(len);
    (0..num_splits).map(move |split| start + split * len..end.min(start + (split + 1) * len))
}

/// The most splits that all rows of a step together can have, those of rows with one split not counted.
pub fn max_num_splits(config: &EngineConfig) -> usize {
    let longest = config.max_model_len as u32;
    // Where splits become longer, sequences have fewer of them for a while.
    let of_longest = SPLIT_LENS.map(|(most, _)| splits(0..most.min(longest)).len()).into_iter().max().unwrap_or(0);
    if of_longest < 2 {
        return 0;
    }
    // No two sequences share a block. All splits of a sequence but its last have the shortest length or more.
    let pool_tokens = config.num_kv_blocks * config.block_size;
    let shortest = SHORTEST_SPLIT as usize;
    let num_seqs = config.max_num_seqs.min(config.max_tokens_per_step).min(pool_tokens / (shortest + 1));
    (num_seqs * of_longest).min(pool_tokens / shortest + num_seqs)
}

/// Words of what is kept of a split for one head: head_dim sums of V by weight, the largest score, the total of the
/// weights, and two that make it whole vec4s.
pub fn partial_len(head_dim: usize) -> usize {
    head_dim + 4
}

/// Tokens of a split of a row that attends to so many.
pub fn split_len(num_attended: u32) -> u32 {
    SPLIT_LENS.iter().find(|(most, _)| num_attended <= *most).map_or(SHORTEST_SPLIT, |&(_, len)| len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KvDtype, WeightDtype};

    fn lens(attended: Range<u32>) -> Vec<u32> {
        splits(attended).map(|split| split.end - split.start).collect()
    }

    #[test]
    fn short_rows_have_one_split() {
        for end in [1, 2, 511, 512] {
            assert_eq!(lens(0..end), [end]);
        }
        assert_eq!(lens(0..513), [512, 1]);
        assert_eq!(lens(0..1024), [512; 2]);
        assert_eq!(lens(0..4096), [512; 8]);
    }

    #[test]
    fn longer_rows_have_longer_splits() {
        assert_eq!(lens(0..4097), [1024, 1024, 1024, 1024, 1]);
        assert_eq!(lens(0..32_768), [1024; 32]);
        assert_eq!(lens(0..32_769).len(), 17);
        assert_eq!(lens(0..131_072), [2048; 64]);
    }

    #[test]
    fn splits_follow_one_another_and_none_is_empty() {
        let positions = (0..6000).step_by(7).chain([32_767, 32_768, 100_000, (1 << 24) - 1]);
        for (position, window) in
            positions.flat_map(|position| [1, 600, 5000, u32::MAX].map(|window| (position, window)))
        {
            let attended = attended(position, window);
            assert_eq!(attended.end - attended.start, (position + 1).min(window));
            let mut next = attended.start;
            for split in splits(attended.clone()) {
                assert_eq!(split.start, next);
                assert!(split.end > split.start);
                next = split.end;
            }
            assert_eq!(next, attended.end);
        }
    }

    /// Sequences of every length that fit into the pool, longest first or drawn by chance.
    #[test]
    fn no_step_has_more_splits_than_there_is_room_for() {
        let mut state = 1u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % bound
        };
        let mut nearest = 0.0f64;
        for _ in 0..20_000 {
            let config = EngineConfig {
                block_size: 1 << below(9),
                num_kv_blocks: 1 + below(400),
                max_tokens_per_step: 64,
                prefill_chunk_size: 64,
                max_num_seqs: 1 + below(12),
                max_model_len: [513, 600, 1000, 4096, 5000, 40_000][below(6)],
                kv_dtype: KvDtype::default(),
                weight_dtype: WeightDtype::default(),
            };
            let (mut free, mut num_splits) = (config.num_kv_blocks, 0);
            for _ in 0..config.max_num_seqs {
                let len = [513, 1025, 1 + below(config.max_model_len)][below(3)].min(config.max_model_len);
                let Some(left) = free.checked_sub(config.num_blocks_for(len)) else { break };
                free = left;
                let of_seq = splits(0..len as u32).len();
                num_splits += if of_seq > 1 { of_seq } else { 0 };
            }
            let room = max_num_splits(&config);
            assert!(num_splits <= room, "{num_splits} splits, room for {room}: {config:?}");
            nearest = nearest.max(num_splits as f64 / room.max(1) as f64);
        }
        assert_eq!(nearest, 1.0, "some step needs all the room");
    }
}
