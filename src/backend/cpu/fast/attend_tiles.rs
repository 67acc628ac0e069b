//! Attention, fast: which query rows share each read of K and V. They are those of the query heads that share a KV head, of
//! neighbouring queries.

use super::attend_split::attend_split;
use super::query_tile::{Call, Tile};
use super::threads;
use crate::backend::cpu::merge_splits::merge_row;
use crate::backend::cpu::query_rows::QueryRow;
use crate::backend::splits::{partial_len, split_len, splits};

/// Rows that share a read of K and V.
const TILE_ROWS: usize = 192;

impl Call<'_> {
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
                attend_split(&tile, &tokens.collect::<Vec<_>>(), partials);
            }
            for (i, (query, out)) in queries.iter().zip(outs).enumerate() {
                let of_splits = partials.chunks_exact(of_split).take(num_splits(query));
                let partials: Vec<_> = of_splits.map(|partials| &partials[i * of_query..][..of_query]).collect();
                merge_row(&partials.concat(), head_dim, out);
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
            let tile = Tile::new(self, std::slice::from_ref(item), kv_head);
            attend_split(&tile, std::slice::from_ref(&item.attended), partials);
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
