//! What an attention kernel is called with, and the rows that share each read of K and V.

use super::instruction_set::Vectors;
use crate::backend::KvPool;
use crate::backend::cpu::query_rows::{HeadPlace, QueryRow};
use crate::backend::params::AttentionParams;

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
    /// Query heads that share a KV head.
    pub fn group(&self) -> usize {
        (self.p.num_heads / self.p.num_kv_heads) as usize
    }
}

/// Neighbouring queries, of each the heads that share a KV head.
pub struct Tile<'a> {
    pub call: &'a Call<'a>,
    pub place: HeadPlace<'a>,
    /// `[queries, group, head_dim]`
    pub q: Vec<f32>,
}

impl<'a> Tile<'a> {
    pub fn new(call: &'a Call<'a>, queries: &[QueryRow], kv_head: usize) -> Self {
        let len = call.group() * call.p.head_dim as usize;
        let of_query = |query: &QueryRow| &call.q[(query.row * call.p.num_kv_heads as usize + kv_head) * len..][..len];
        Self {
            call,
            place: HeadPlace::new(call.p, call.step, queries[0].seq, kv_head),
            q: queries.iter().map(of_query).collect::<Vec<_>>().concat(),
        }
    }
}
