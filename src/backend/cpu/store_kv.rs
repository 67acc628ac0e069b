//! Twin of `shaders/store_kv.wgsl`.

use crate::backend::params::StoreKvParams;
use ndarray::ArrayView2;

/// `pool[block, kv_head, offset, :] = x[row, kv_head, :]` with `block · block_size + offset = slot_mapping[row]`;
/// once for K and once for V.
pub(super) fn store_kv(p: &StoreKvParams, step: &[u32], x: ArrayView2<f32>, pool: &mut [f32]) {
    let (head_dim, block_size) = (p.head_dim as usize, p.block_size as usize);
    let slots = &step[p.slot_mapping_offset as usize..][..p.num_tokens as usize];
    for (&slot, row) in slots.iter().zip(x.outer_iter()) {
        let (block, offset) = (slot as usize / block_size, slot as usize % block_size);
        let heads = row.to_slice().expect("rows are contiguous").chunks_exact(head_dim);
        for (kv_head, values) in heads.enumerate() {
            let at = (block * p.num_kv_heads as usize + kv_head) * block_size + offset;
            pool[at * head_dim..][..head_dim].copy_from_slice(values);
        }
    }
}
