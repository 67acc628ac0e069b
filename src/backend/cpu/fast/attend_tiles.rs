//! Attention, fast: many query rows of a sequence share each read of its K and V.
//!
//! ```text
//!            tokens of a split                           32 of head_dim
//!          ┌────┬────┬────┬──────                        ┌────┬────┐
//!     rows │ 32 │ 32 │ 32 │ …      q · K, K turned:      │    │    │   weights · V, a block of tokens
//!          │    │    │    │        a token in each lane  │    │    │   after the other
//!          └────┴────┴────┴──────                        └────┴────┘
//! ```
//!
//! Both products are the tiles of `linear`. Rows are those of the query heads that share a KV head, of neighbouring queries.
//! Each is added up in the order of the twin, so its bits do not depend on who shares its tile.

use super::instruction_set::Vectors;
use super::matmul::{PackedRows, multiply_block};
use super::panels::LANES;
use super::threads;
use super::unpack::{BLOCK, Block};
use crate::backend::KvPool;
use crate::backend::cpu::kv_head::read_head;
use crate::backend::cpu::merge_splits::merge_row;
use crate::backend::cpu::query_rows::{HeadPlace, QueryRow};
use crate::backend::cpu::softmax::weigh;
use crate::backend::params::AttentionParams;
use crate::backend::splits::{partial_len, split_len, splits};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Rows that share a read of K and V. K is turned once for them, which costs about as much as 30 rows.
const TILE_ROWS: usize = 192;

/// What all tiles of a kernel call share.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub vectors: Vectors,
    pub p: &'a AttentionParams,
    pub step: &'a [u32],
    /// `[num_tokens, num_heads, head_dim]`
    pub q: &'a [f32],
    pub kv: KvPool<&'a [u32]>,
}

impl Call<'_> {
    fn group(&self) -> usize {
        (self.p.num_heads / self.p.num_kv_heads) as usize
    }

    /// Attention of the given rows, all heads, in ascending order. Rows of `out` that are not listed stay as they are.
    pub fn rows(&self, rows: &[QueryRow], out: &mut [f32]) {
        let num_kv_heads = self.p.num_kv_heads as usize;
        let head_dim = self.p.head_dim as usize;
        let most_queries = (TILE_ROWS / self.group()).max(1);
        let mut outs = out.chunks_exact_mut(self.group() * head_dim).enumerate();
        let mut tasks = Vec::new();
        for queries in rows.chunk_by(share_splits).flat_map(|queries| queries.chunks(most_queries)) {
            let mut of_heads: Vec<Vec<&mut [f32]>> = (0..num_kv_heads).map(|_| Vec::new()).collect();
            for query in queries {
                let first = query.row * num_kv_heads;
                let of_query = outs.by_ref().skip_while(|(i, _)| *i < first).take(num_kv_heads);
                of_query.zip(&mut of_heads).for_each(|((_, out), of_head)| of_head.push(out));
            }
            tasks.extend(of_heads.into_iter().enumerate().map(|(kv_head, out)| (queries, kv_head, out)));
        }
        threads::for_each_worth(self.cost(rows), tasks, |(queries, kv_head, outs)| {
            let num_splits = |query: &QueryRow| splits(query.attended.clone()).len();
            let most_splits = queries.iter().map(num_splits).max().unwrap_or(0);
            let of_query = self.group() * partial_len(head_dim);
            let of_split = queries.len() * of_query;
            let mut partials = vec![0.0; most_splits * of_split];
            let tile = Tile::new(self, queries, kv_head);
            for (split, partials) in partials.chunks_exact_mut(of_split).enumerate() {
                let tokens = queries.iter().map(|query| splits(query.attended.clone()).nth(split).unwrap_or(0..0));
                tile.attend(&tokens.collect::<Vec<_>>(), partials);
            }
            for (i, (query, out)) in queries.iter().zip(outs).enumerate() {
                let of_splits = partials.chunks_exact(of_split).take(num_splits(query));
                let partials = of_splits.flat_map(|partials| &partials[i * of_query..][..of_query]);
                merge_row(&partials.copied().collect::<Vec<_>>(), head_dim, out);
            }
        });
    }

    /// Attention of splits, all heads, each with its tokens; what is kept of them goes to `partials`, one after the other.
    pub fn splits(&self, items: &[QueryRow], partials: &mut [f32]) {
        let len = self.group() * partial_len(self.p.head_dim as usize);
        let num_kv_heads = self.p.num_kv_heads as usize;
        let tasks = items.iter().flat_map(|item| (0..num_kv_heads).map(move |kv_head| (item, kv_head)));
        let tasks = tasks.zip(partials.chunks_exact_mut(len)).collect();
        threads::for_each_worth(self.cost(items), tasks, |((item, kv_head), partials)| {
            Tile::new(self, std::slice::from_ref(item), kv_head).attend(std::slice::from_ref(&item.attended), partials);
        });
    }

    /// Multiplications of all rows.
    fn cost(&self, rows: &[QueryRow]) -> usize {
        let num_tokens: usize = rows.iter().map(|query| query.attended.len()).sum();
        2 * num_tokens * (self.p.num_heads * self.p.head_dim) as usize
    }
}

/// Whether rows that follow one another share most tokens of each split. Whoever shares a tile gets the right result.
fn share_splits(a: &QueryRow, b: &QueryRow) -> bool {
    let [first, second] = [a, b].map(|query| split_len(query.attended.len() as u32));
    a.seq == b.seq && a.row + 1 == b.row && first == second
}

/// Neighbouring queries, of each the heads that share a KV head.
struct Tile<'a> {
    call: &'a Call<'a>,
    place: HeadPlace<'a>,
    /// `[queries, group]` rows of head_dim.
    q: PackedRows<'a>,
}

impl<'a> Tile<'a> {
    fn new(call: &'a Call<'a>, queries: &[QueryRow], kv_head: usize) -> Self {
        let head_dim = call.p.head_dim as usize;
        let of_query = |query: &QueryRow| {
            let first = (query.row * call.p.num_kv_heads as usize + kv_head) * call.group() * head_dim;
            &call.q[first..][..call.group() * head_dim]
        };
        let q: Vec<f32> = queries.iter().flat_map(of_query).copied().collect();
        Self {
            call,
            place: HeadPlace::new(call.p, call.step, queries[0].seq, kv_head),
            q: PackedRows::new(&q, head_dim, call.vectors).into_owned(),
        }
    }

    /// A split of each query: what is kept of it goes to `partials`, `[queries, group, head_dim + 4]`.
    fn attend(&self, tokens: &[Range<u32>], partials: &mut [f32]) {
        self.call.vectors.run(AttendSplit { tile: self, tokens, partials });
    }
}

struct AttendSplit<'a> {
    tile: &'a Tile<'a>,
    /// Of each query.
    tokens: &'a [Range<u32>],
    partials: &'a mut [f32],
}

impl WithSimd for AttendSplit<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { tile, tokens, partials } = self;
        let Tile { call, place, q } = tile;
        let (head_dim, kv) = (call.p.head_dim as usize, call.kv);
        let own = tokens.iter().filter(|tokens| !tokens.is_empty());
        let start = own.clone().map(|tokens| tokens.start).min().unwrap_or(0) as usize;
        let end = own.map(|tokens| tokens.end).max().unwrap_or(0) as usize;
        let (num_rows, group, stride) = (q.num_rows(), call.group(), (end - start).next_multiple_of(LANES));
        let mut block = Block::new();
        let mut scratch = vec![0.0; head_dim];
        let mut sums = vec![[0.0; LANES]; num_rows];

        let mut scores = vec![0.0; num_rows * stride];
        for first in (start..end).step_by(LANES) {
            sums.fill([0.0; LANES]);
            for first_dim in (0..head_dim).step_by(BLOCK) {
                let turned = block.lines(BLOCK.min(head_dim - first_dim));
                for (lane, token) in (first..end.min(first + LANES)).enumerate() {
                    let scratch = &mut scratch[..turned.len()];
                    let k = read_head(kv.k, kv.elements, place.of_token(token) + first_dim, scratch);
                    turned.iter_mut().zip(k).for_each(|(line, k)| line[lane] = *k);
                }
                multiply_block(simd, q, first_dim, turned, &mut sums);
            }
            for (scores, sums) in scores.chunks_exact_mut(stride).zip(&sums) {
                let scores = &mut scores[first - start..][..LANES];
                scores.iter_mut().zip(sums).for_each(|(score, sum)| *score = call.p.scale * sum);
            }
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

        let weights = PackedRows::new(&scores, stride, call.vectors);
        for first_dim in (0..head_dim).step_by(LANES) {
            let num_dims = LANES.min(head_dim - first_dim);
            sums.fill([0.0; LANES]);
            for first in (start..end).step_by(BLOCK) {
                let values = block.lines(BLOCK.min(end - first));
                for (token, line) in (first..).zip(&mut *values) {
                    let at = place.of_token(token) + first_dim;
                    let v = read_head(kv.v, kv.elements, at, &mut scratch[..num_dims]);
                    line[..num_dims].copy_from_slice(v);
                }
                multiply_block(simd, &weights, first - start, values, &mut sums);
            }
            for (partial, sums) in partials.chunks_exact_mut(partial_len(head_dim)).zip(&sums) {
                partial[first_dim..first_dim + num_dims].copy_from_slice(&sums[..num_dims]);
            }
        }
    }
}
