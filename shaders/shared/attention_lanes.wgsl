// What the two versions of attention share in which eight lanes own rows. `step`, `p`, the pools, KV_TYPE, BLOCK_SIZE and
// WIDTH are the kernel's.

// m * x + sum, in one order of additions.
fn multiply_add(m: mat4x4<f32>, x: mat4x4<f32>, sum: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(
        four_terms(sum[0], m, x[0]),
        four_terms(sum[1], m, x[1]),
        four_terms(sum[2], m, x[2]),
        four_terms(sum[3], m, x[3]),
    );
}

// The matrix with each of its columns multiplied by a number.
fn times_columns(m: mat4x4<f32>, factors: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(m[0] * factors.x, m[1] * factors.y, m[2] * factors.z, m[3] * factors.w);
}

fn from_lane(m: mat4x4<f32>, lane: u32) -> mat4x4<f32> {
    return mat4x4(
        subgroupShuffle(m[0], lane),
        subgroupShuffle(m[1], lane),
        subgroupShuffle(m[2], lane),
        subgroupShuffle(m[3], lane),
    );
}

// Of four numbers each, over the eight lanes.
fn total_of_eight(mine: vec4<f32>) -> vec4<f32> {
    var total = mine;
    total += subgroupShuffleXor(total, 1u);
    total += subgroupShuffleXor(total, 2u);
    total += subgroupShuffleXor(total, 4u);
    return total;
}

fn largest_of_eight(mine: vec4<f32>) -> vec4<f32> {
    var largest = mine;
    largest = max(largest, subgroupShuffleXor(largest, 1u));
    largest = max(largest, subgroupShuffleXor(largest, 2u));
    largest = max(largest, subgroupShuffleXor(largest, 4u));
    return largest;
}

// Where the vec4s of four tokens begin in k_pool and v_pool.
fn kv_at(blocks: u32, kv_head: u32, tokens: vec4<u32>) -> vec4<u32> {
    let at = tokens / BLOCK_SIZE + blocks;
    let block = vec4(step[at.x], step[at.y], step[at.z], step[at.w]);
    return ((block * p.num_kv_heads + kv_head) * BLOCK_SIZE + tokens % BLOCK_SIZE) * WIDTH;
}

fn query_at(at: u32) -> vec4<f32> {
    return floats_of(q[at]);
}
