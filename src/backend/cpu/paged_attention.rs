//! Twin of `shaders/paged_attention.wgsl`.

use super::attend::{QueryRow, attend_rows};
use crate::backend::KvPool;
use crate::backend::params::AttentionParams;

/// Attention of the sequences listed in the step table, each with one query row.
pub(super) fn paged_attention(p: &AttentionParams, step: &[u32], q: &[f32], kv: KvPool<&[u32]>, out: &mut [f32]) {
    let cu_seqlens_q = &step[p.cu_seqlens_q_offset as usize..];
    let items = &step[p.items_offset as usize..][..p.num_items as usize];
    let rows: Vec<QueryRow> =
        items.iter().map(|&seq| QueryRow { row: cu_seqlens_q[seq as usize] as usize, seq: seq as usize }).collect();
    attend_rows(p, step, &rows, q, kv, out);
}
