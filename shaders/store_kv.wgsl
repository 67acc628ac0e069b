// pool[block, kv_head, offset, :] = row's K (and V) of kv_head,  block * block_size + offset = slot_mapping[row]
//
// k, v            [num_tokens, num_kv_heads, head_dim]
// k_pool, v_pool  [num_blocks, num_kv_heads, block_size, head_dim]
//
// One thread per vec4 of k.   Twin: src/backend/cpu/store_kv.rs   Test: tests/kernels/store_kv.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    num_tokens: u32,
    num_kv_heads: u32,
    head_dim: u32,
    block_size: u32,
    slot_mapping_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> k_pool: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> v_pool: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (workgroup.y * num_workgroups.x + workgroup.x) * WORKGROUP_SIZE + lane;
    let width = p.head_dim / 4u;
    if i >= p.num_tokens * p.num_kv_heads * width {
        return;
    }
    let row = i / (p.num_kv_heads * width);
    let kv_head = i / width % p.num_kv_heads;
    let slot = step[p.slot_mapping_offset + row];
    let block = slot / p.block_size;
    let offset = slot % p.block_size;
    let at = ((block * p.num_kv_heads + kv_head) * p.block_size + offset) * width + i % width;
    k_pool[at] = k[i];
    v_pool[at] = v[i];
}
