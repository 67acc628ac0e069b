// What the two versions of attention share in which a team of lanes owns rows: LANES neighbours of a subgroup. `step`, `p`,
// `q`, the pools, KV_TYPE, BLOCK_SIZE, LANES, WIDTH and COLUMNS are the kernel's.

// What a lane owns of four rows of q, K or V, or of sums of V: of each of its vec4s a column for each row.
struct Columns {
    c_0: mat4x4<f32>,
    c_1: mat4x4<f32>,
    c_2: mat4x4<f32>,
    c_3: mat4x4<f32>,
}

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

// Of four numbers each, over the lanes of the team.
fn total_of_team(mine: vec4<f32>) -> vec4<f32> {
    var total = mine;
    total += subgroupShuffleXor(total, 1u);
    total += subgroupShuffleXor(total, 2u);
    total += subgroupShuffleXor(total, 4u);
    if LANES > 8u { total += subgroupShuffleXor(total, 8u); }
    if LANES > 16u { total += subgroupShuffleXor(total, 16u); }
    return total;
}

fn largest_of_team(mine: vec4<f32>) -> vec4<f32> {
    var largest = mine;
    largest = max(largest, subgroupShuffleXor(largest, 1u));
    largest = max(largest, subgroupShuffleXor(largest, 2u));
    largest = max(largest, subgroupShuffleXor(largest, 4u));
    if LANES > 8u { largest = max(largest, subgroupShuffleXor(largest, 8u)); }
    if LANES > 16u { largest = max(largest, subgroupShuffleXor(largest, 16u)); }
    return largest;
}

// Where the vec4s of four tokens begin in k_pool and v_pool.
fn kv_at(blocks: u32, kv_head: u32, tokens: vec4<u32>) -> vec4<u32> {
    let at = tokens / BLOCK_SIZE + blocks;
    let block = vec4(step[at.x], step[at.y], step[at.z], step[at.w]);
    return ((block * p.num_kv_heads + kv_head) * BLOCK_SIZE + tokens % BLOCK_SIZE) * WIDTH;
}

// A vec4 of each of four rows, a column for each row.
fn queries_at(at: vec4<u32>) -> mat4x4<f32> {
    return mat4x4(floats_of(q[at.x]), floats_of(q[at.y]), floats_of(q[at.z]), floats_of(q[at.w]));
}

fn keys_at(at: vec4<u32>) -> mat4x4<f32> {
    return mat4x4(key_at(at.x), key_at(at.y), key_at(at.z), key_at(at.w));
}

fn values_at(at: vec4<u32>) -> mat4x4<f32> {
    return mat4x4(value_at(at.x), value_at(at.y), value_at(at.z), value_at(at.w));
}

fn columns_of_v(at: vec4<u32>) -> Columns {
    var four: Columns;
    four.c_0 = values_at(at);
    if COLUMNS > 1u { four.c_1 = values_at(at + LANES); }
    if COLUMNS > 2u { four.c_2 = values_at(at + 2u * LANES); }
    if COLUMNS > 3u { four.c_3 = values_at(at + 3u * LANES); }
    return four;
}

// Four tokens' V, weighted, on top of the sums.
fn added(before: Columns, v: Columns, weights: mat4x4<f32>) -> Columns {
    var sums = before;
    sums.c_0 = multiply_add(v.c_0, weights, sums.c_0);
    if COLUMNS > 1u { sums.c_1 = multiply_add(v.c_1, weights, sums.c_1); }
    if COLUMNS > 2u { sums.c_2 = multiply_add(v.c_2, weights, sums.c_2); }
    if COLUMNS > 3u { sums.c_3 = multiply_add(v.c_3, weights, sums.c_3); }
    return sums;
}

fn shrunk(sums: Columns, factors: vec4<f32>) -> Columns {
    return Columns(
        times_columns(sums.c_0, factors),
        times_columns(sums.c_1, factors),
        times_columns(sums.c_2, factors),
        times_columns(sums.c_3, factors),
    );
}
