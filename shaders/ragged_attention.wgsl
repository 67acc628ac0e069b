// Causal attention of sequences with several query rows, over their cached prefix and their new tokens alike:
//   out[row, head, :] = sum_j softmax_j(scale * q[row, head] . k[j]) v[j],   position - window < j <= position
//
// q, out          [num_tokens, num_heads, HEAD_DIM]
// k_pool, v_pool  [num_blocks, num_kv_heads, BLOCK_SIZE, HEAD_DIM], found through the block table
// work items      [num_items, 2]: (sequence, first packed row)
//
// The GROUP query heads that share a KV head are packed into rows: packed row r is query r / GROUP, head r % GROUP.
// One workgroup per (work item, KV head) walks the tokens it sees in tiles of KV_TILE with a running softmax (Milakov and
// Gimelshein 2018; Dao et al. 2022), so K and V are read once for all its QUERY_ROWS packed rows.
//
//   tokens   [0 ........ begin)   [begin ........ position of the first query]   (.... position of the last query]
//             outside the window   seen by every row (no window)                  seen by some rows: masked
//
// Tiles begin at multiples of KV_TILE, and a token that a row does not see changes nothing: what a row gets does not depend
// on the rows beside it, bit for bit.
// Twin: src/backend/cpu/ragged_attention.rs   Test: tests/kernels/ragged_attention.rs
// Appended: kv_elements, four of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override HEAD_DIM: u32 = 64u;
override BLOCK_SIZE: u32 = 16u;
override KV_TYPE: u32 = 0u; // 0: f32, 1: f16, packed in words
override GROUP: u32 = 1u;
override QUERY_ROWS: u32 = 16u; // QUERY_ROWS * HEAD_DIM / 4 <= MAX_SLOTS * WORKGROUP_SIZE
override KV_TILE: u32 = 16u;

override WIDTH: u32 = HEAD_DIM / 4u; // vec4s of a head
override Q_LEN: u32 = QUERY_ROWS * WIDTH;
override KV_LEN: u32 = KV_TILE * WIDTH;
override SCORES_LEN: u32 = QUERY_ROWS * KV_TILE;
override SLOTS: u32 = (Q_LEN + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE; // vec4s of out that a thread owns
const MAX_SLOTS = 8u;
const HIDDEN = -1e30; // the score of a token that a row does not see

struct Params {
    num_items: u32,
    num_whole: u32,
    num_heads: u32,
    num_kv_heads: u32,
    head_dim: u32,
    block_size: u32,
    window: u32,
    scale: f32,
    items_offset: u32,
    cu_seqlens_q_offset: u32,
    context_lens_offset: u32,
    block_table_offsets_offset: u32,
    block_table_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> k_pool: array<Four>;
@group(0) @binding(4) var<storage, read> v_pool: array<Four>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> k_halves: array<FourHalves>; // k_pool again, for f16
@group(0) @binding(7) var<storage, read> v_halves: array<FourHalves>;

var<workgroup> q_tile: array<vec4<f32>, Q_LEN>; // [QUERY_ROWS][WIDTH], scaled
var<workgroup> kv_tile: array<vec4<f32>, KV_LEN>; // [KV_TILE][WIDTH], first K, then V
var<workgroup> scores: array<f32, SCORES_LEN>; // [QUERY_ROWS][KV_TILE], first scores, then weights
var<workgroup> rescale: array<f32, QUERY_ROWS>; // what a row's sums shrink by when its maximum grows

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = workgroup.y * num_workgroups.x + workgroup.x;
    if item >= p.num_items {
        return;
    }
    let kv_head = workgroup.z;
    let seq = step[p.items_offset + 2u * item];
    let first_packed = step[p.items_offset + 2u * item + 1u];
    let first_row = step[p.cu_seqlens_q_offset + seq];
    let query_len = step[p.cu_seqlens_q_offset + seq + 1u] - first_row;
    let context_len = step[p.context_lens_offset + seq];
    let blocks = p.block_table_offset + step[p.block_table_offsets_offset + seq];
    let num_packed = min(QUERY_ROWS, query_len * GROUP - first_packed);

    let first_position = context_len + first_packed / GROUP;
    let begin = first_position + 1u - min(first_position + 1u, p.window);
    let end = context_len + (first_packed + num_packed - 1u) / GROUP + 1u;

    for (var i = lane; i < Q_LEN; i += WORKGROUP_SIZE) {
        let packed_row = i / WIDTH;
        q_tile[i] = vec4(0.0);
        if packed_row < num_packed {
            q_tile[i] = q[query_at(first_row, first_packed + packed_row, kv_head) + i % WIDTH] * p.scale;
        }
    }

    var sums: array<vec4<f32>, MAX_SLOTS>; // slot s: vec4 lane + s * WORKGROUP_SIZE of [QUERY_ROWS][WIDTH]
    var row_max = HIDDEN; // of packed row `lane`
    var row_sum = 0.0;

    for (var tile = begin / KV_TILE * KV_TILE; tile < end; tile += KV_TILE) {
        let tile_len = min(KV_TILE, end - tile);
        workgroupBarrier();
        for (var i = lane; i < tile_len * WIDTH; i += WORKGROUP_SIZE) {
            kv_tile[i] = key_at(kv_at(blocks, kv_head, tile + i / WIDTH) + i % WIDTH);
        }
        workgroupBarrier();

        for (var i = lane; i < SCORES_LEN; i += WORKGROUP_SIZE) {
            let packed_row = i / KV_TILE;
            let token = i % KV_TILE;
            let position = context_len + (first_packed + packed_row) / GROUP;
            var score = HIDDEN;
            if token < tile_len && tile + token <= position && position - (tile + token) < p.window {
                score = 0.0;
                for (var c = 0u; c < WIDTH; c++) {
                    score += dot(q_tile[packed_row * WIDTH + c], kv_tile[token * WIDTH + c]);
                }
            }
            scores[i] = score;
        }
        workgroupBarrier();

        for (var i = lane; i < tile_len * WIDTH; i += WORKGROUP_SIZE) {
            kv_tile[i] = value_at(kv_at(blocks, kv_head, tile + i / WIDTH) + i % WIDTH);
        }
        if lane < QUERY_ROWS {
            var new_max = row_max;
            for (var token = 0u; token < tile_len; token++) {
                new_max = max(new_max, scores[lane * KV_TILE + token]);
            }
            let shrink = exp(row_max - new_max);
            row_sum *= shrink;
            for (var token = 0u; token < tile_len; token++) {
                let score = scores[lane * KV_TILE + token];
                let weight = select(exp(score - new_max), 0.0, score == HIDDEN);
                scores[lane * KV_TILE + token] = weight;
                row_sum += weight;
            }
            row_max = new_max;
            rescale[lane] = shrink;
        }
        workgroupBarrier();

        for (var slot = 0u; slot < SLOTS; slot++) {
            let i = lane + slot * WORKGROUP_SIZE;
            if i < Q_LEN {
                let packed_row = i / WIDTH;
                var sum = sums[slot] * rescale[packed_row];
                for (var token = 0u; token < tile_len; token++) {
                    sum += scores[packed_row * KV_TILE + token] * kv_tile[token * WIDTH + i % WIDTH];
                }
                sums[slot] = sum;
            }
        }
    }

    workgroupBarrier();
    if lane < QUERY_ROWS {
        rescale[lane] = 1.0 / max(row_sum, 1e-30); // rows past num_packed may see nothing
    }
    workgroupBarrier();
    for (var slot = 0u; slot < SLOTS; slot++) {
        let i = lane + slot * WORKGROUP_SIZE;
        if i < num_packed * WIDTH {
            out[query_at(first_row, first_packed + i / WIDTH, kv_head) + i % WIDTH] = sums[slot] * rescale[i / WIDTH];
        }
    }
}

// Where a packed row's vec4s begin in q and out.
fn query_at(first_row: u32, packed_row: u32, kv_head: u32) -> u32 {
    let row = first_row + packed_row / GROUP;
    let head = kv_head * GROUP + packed_row % GROUP;
    return (row * p.num_heads + head) * WIDTH;
}

// Where a token's vec4s begin in k_pool and v_pool.
fn kv_at(blocks: u32, kv_head: u32, token: u32) -> u32 {
    let block = step[blocks + token / BLOCK_SIZE];
    return ((block * p.num_kv_heads + kv_head) * BLOCK_SIZE + token % BLOCK_SIZE) * WIDTH;
}
