//! Attention of some rows over a stretch of tokens: what is kept of a split.
//!
//! ```text
//!            tokens of a split                              32 of head_dim
//!          ┌────┬────┬────┬──────                           ┌────┬────┐
//!     rows │ 32 │ 32 │ 32 │ …    q · K, a token or a row    │    │    │   weights · V, a block of tokens
//!          │    │    │    │      in each lane               │    │    │   after the other
//!          └────┴────┴────┴──────                           └────┴────┘
//! ```
//!
//! Each row is added up in the order of the twin, so its bits do not depend on who shares its tile.

use super::matmul::{PackedRows, multiply_block};
use super::panels::LANES;
use super::query_tile::Tile;
use super::scores::FEW_ROWS;
use super::unpack::{BLOCK, Block};
use crate::backend::cpu::kv_head::read_head;
use crate::backend::cpu::softmax::weigh;
use crate::backend::splits::partial_len;
use crate::config::KvDtype;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// A split of each query, which has the given tokens: what is kept of it goes to `partials`,
/// `[queries, group, head_dim + 4]`.
pub fn attend_split(tile: &Tile<'_>, tokens: &[Range<u32>], partials: &mut [f32]) {
    tile.call.vectors.run(AttendSplit { tile, tokens, partials });
}

struct AttendSplit<'a> {
    tile: &'a Tile<'a>,
    tokens: &'a [Range<u32>],
    partials: &'a mut [f32],
}

impl WithSimd for AttendSplit<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tile, tokens, partials } = self;
        let (head_dim, group) = (tile.call.p.head_dim as usize, tile.call.group());
        let own = tokens.iter().filter(|tokens| !tokens.is_empty());
        let start = own.clone().map(|tokens| tokens.start).min().unwrap_or(0) as usize;
        let end = own.map(|tokens| tokens.end).max().unwrap_or(0) as usize;
        let (num_rows, stride) = (tile.q.len() / head_dim, (end - start).next_multiple_of(LANES));

        let mut scores = vec![0.0; num_rows * stride];
        if num_rows <= FEW_ROWS {
            tile.score_few(simd, start..end, &mut scores, stride);
        } else {
            tile.score_many(simd, start..end, &mut scores, stride);
        }
        let rows = scores.chunks_exact_mut(stride).zip(partials.chunks_exact_mut(partial_len(head_dim)));
        for (row, (scores, partial)) in rows.enumerate() {
            let Range { start: from, end: to } = tokens[row / group].clone();
            let (from, to) = ((from as usize).max(start) - start, (to as usize).max(start) - start);
            let (maximum, total) = weigh(&mut scores[from..to]);
            scores[..from].fill(0.0);
            scores[to..].fill(0.0);
            partial[head_dim..].copy_from_slice(&[maximum, total, 0.0, 0.0]);
        }
        let weights = PackedRows::new(&scores, stride, tile.call.vectors);
        tile.add_values(simd, start..end, &weights, partials);
    }
}

impl Tile<'_> {
    /// `partials[row] = Σ weights[row][token] · v[token]`
    #[inline(always)]
    fn add_values<S: Simd>(&self, simd: S, tokens: Range<usize>, weights: &PackedRows<'_>, partials: &mut [f32]) {
        let (head_dim, kv) = (self.call.p.head_dim as usize, self.call.kv);
        // A copy pays where many rows share it, and where V is not as it is needed.
        let in_place = kv.elements == KvDtype::F32 && head_dim.is_multiple_of(LANES) && weights.num_rows() <= FEW_ROWS;
        let mut copy = (!in_place).then(Block::new);
        let mut scratch = [0.0; LANES];
        let mut sums = vec![[0.0; LANES]; weights.num_rows()];
        for first_dim in (0..head_dim).step_by(LANES) {
            let num_dims = LANES.min(head_dim - first_dim);
            sums.fill([0.0; LANES]);
            if let Some(copy) = &mut copy {
                for first in tokens.clone().step_by(BLOCK) {
                    let values = copy.lines(BLOCK.min(tokens.end - first));
                    for (token, line) in (first..).zip(&mut *values) {
                        let at = self.place.of_token(token) + first_dim;
                        let v = read_head(kv.v, kv.elements, at, &mut scratch[..num_dims]);
                        // A whole line is copied in registers.
                        match v.first_chunk() {
                            Some(whole) => *line = *whole,
                            None => line[..num_dims].copy_from_slice(v),
                        }
                    }
                    multiply_block(simd, weights, first - tokens.start, values.iter(), &mut sums);
                }
            } else {
                for (first, at, num_tokens) in self.place.stretches(tokens.clone()) {
                    let stretch: &[f32] = bytemuck::cast_slice(&kv.v[at..][..num_tokens * head_dim]);
                    let values =
                        stretch.chunks_exact(head_dim).map(|v| v[first_dim..].first_chunk().expect("32 at least"));
                    multiply_block(simd, weights, first - tokens.start, values, &mut sums);
                }
            }
            for (partial, sums) in partials.chunks_exact_mut(partial_len(head_dim)).zip(&sums) {
                partial[first_dim..first_dim + num_dims].copy_from_slice(&sums[..num_dims]);
            }
        }
    }
}
