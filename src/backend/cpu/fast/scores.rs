//! Scores of some rows, `scores[row][token] = scale · q[row] · k[token]`, in two ways that give the same bits.
//!
//! ```text
//!   few rows: a row in each lane              many rows: a token in each lane
//!
//!   sums of 8 tokens += q of a dimension      sums of rows += q of a row (one number)
//!                       · k (one number)                      · k of a dimension, turned
//! ```
//!
//! One number stands in all lanes of a register, and may come straight from memory. So few rows read K where it lies. Many
//! would read it too often: for them it is turned, once for all.

use super::matmul::{PackedRows, multiply_block};
use super::panels::LANES;
use super::query_tile::Tile;
use super::unpack::{BLOCK, Block};
use crate::backend::cpu::kv_head::{fetch_head, read_head};
use pulp::Simd;
use std::ops::Range;

/// Most rows that have a lane each. To turn K costs about as much as 30 rows.
pub const FEW_ROWS: usize = 16;
/// Tokens whose sums are in registers at a time, with a row in each lane.
const TOGETHER: usize = 8;
/// How many tokens ahead K is fetched.
const AHEAD: usize = 2 * TOGETHER;
/// Every head_dim is a multiple of it.
const DIMS: usize = 8;

impl Tile<'_> {
    /// For at most [`FEW_ROWS`]. Also fetches V of the tokens, which is read next. `scores` is `[rows, stride]`.
    #[inline(always)]
    pub fn score_few<S: Simd>(&self, simd: S, tokens: Range<usize>, scores: &mut [f32], stride: usize) {
        let (head_dim, kv) = (self.call.p.head_dim as usize, self.call.kv);
        let mut q = vec![[0.0; FEW_ROWS]; head_dim];
        for (row, values) in self.q.chunks_exact(head_dim).enumerate() {
            q.iter_mut().zip(values).for_each(|(q, value)| q[row] = *value);
        }
        let (q, _) = q.as_chunks::<DIMS>();
        let scale = simd.splat_f32s(self.call.p.scale);
        let mut scratch = vec![0.0; TOGETHER * head_dim];
        for first in tokens.clone().step_by(TOGETHER) {
            let mut k: [&[[f32; DIMS]]; TOGETHER] = [&[]; TOGETHER];
            for ((i, k), scratch) in k.iter_mut().enumerate().zip(scratch.chunks_exact_mut(head_dim)) {
                // Those that are missing at the end are the last once more.
                let at = self.place.of_token((first + i).min(tokens.end - 1));
                let ahead = self.place.of_token((first + i + AHEAD).min(tokens.end - 1));
                fetch_head(kv.k, kv.elements, ahead, head_dim);
                fetch_head(kv.v, kv.elements, at, head_dim);
                (*k, _) = read_head(kv.k, kv.elements, at, scratch).as_chunks();
            }
            let of_vectors = scores.chunks_mut(S::F32_LANES * stride).enumerate();
            for (vector, scores) in of_vectors {
                let mut sums = [simd.splat_f32s(0.0); TOGETHER];
                for (i, q) in q.iter().enumerate() {
                    let k = k.map(|k| &k[i]);
                    for (dim, q) in q.iter().enumerate() {
                        let q = S::as_simd_f32s(q).0[vector];
                        for (sum, k) in sums.iter_mut().zip(k) {
                            *sum = simd.mul_add_f32s(q, simd.splat_f32s(k[dim]), *sum);
                        }
                    }
                }
                let sums = sums.map(|sum| simd.mul_f32s(scale, sum));
                for (lane, scores) in scores.chunks_exact_mut(stride).enumerate() {
                    let scores = scores[first - tokens.start..].iter_mut().zip(&sums);
                    scores.for_each(|(score, sum)| *score = bytemuck::cast_slice(std::slice::from_ref(sum))[lane]);
                }
            }
        }
    }

    /// For any number of rows. `scores` is `[rows, stride]`, and `stride` a multiple of [`LANES`].
    #[inline(always)]
    pub fn score_many<S: Simd>(&self, simd: S, tokens: Range<usize>, scores: &mut [f32], stride: usize) {
        let (head_dim, kv) = (self.call.p.head_dim as usize, self.call.kv);
        let q = PackedRows::new(&self.q, head_dim, self.call.vectors);
        let mut block = Block::new();
        let mut scratch = vec![0.0; head_dim];
        let mut sums = vec![[0.0; LANES]; q.num_rows()];
        for first in tokens.clone().step_by(LANES) {
            sums.fill([0.0; LANES]);
            for first_dim in (0..head_dim).step_by(BLOCK) {
                let turned = block.lines(BLOCK.min(head_dim - first_dim));
                for (lane, token) in (first..tokens.end.min(first + LANES)).enumerate() {
                    let scratch = &mut scratch[..turned.len()];
                    let k = read_head(kv.k, kv.elements, self.place.of_token(token) + first_dim, scratch);
                    turned.iter_mut().zip(k).for_each(|(line, k)| line[lane] = *k);
                }
                multiply_block(simd, &q, first_dim, turned.iter(), &mut sums);
            }
            for (scores, sums) in scores.chunks_exact_mut(stride).zip(&sums) {
                let scores = &mut scores[first - tokens.start..][..LANES];
                scores.iter_mut().zip(sums).for_each(|(score, sum)| *score = self.call.p.scale * sum);
            }
        }
    }
}
