// Attention of sequences with one query row (decode), through the block table (Kwon et al. 2023):
//   out[row, head, :] = sum_j softmax_j(scale * q[row, head] . k[j]) v[j],   first <= j < end
//
// q, out          [num_tokens, num_heads, HEAD_DIM]
// k_pool, v_pool  [num_blocks, num_kv_heads, BLOCK_SIZE, HEAD_DIM]
// partials        [num_splits, num_heads, HEAD_DIM + 4]: sum_j exp(score_j - maximum) v[j]; maximum, total; two zeros
// work items      [num_items, 3]: sequence, first token, end token. The first num_whole are all that a row sees and go to
//                 out; the others are splits, which go to partials and are merged by merge_splits.
//
// One workgroup per (work item, KV head, HEADS of the GROUP query heads that share it): a token's K and V come from memory
// once for all HEADS. Tokens go in tiles of WORKGROUP_SIZE; for the scores a thread owns a token, for the sums it owns
// vec4s of the output.
// Twin: src/backend/cpu/paged_attention.rs   Test: tests/kernels/paged_attention.rs
// Appended: kv_elements, four of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override HEAD_DIM: u32 = 64u;
override BLOCK_SIZE: u32 = 16u;
override KV_TYPE: u32 = 0u; // 0: f32, 1: f16, packed in words
override GROUP: u32 = 1u;
override HEADS: u32 = 1u; // at most MAX_HEADS, and HEADS * HEAD_DIM / 4 <= MAX_SLOTS * WORKGROUP_SIZE

override WIDTH: u32 = HEAD_DIM / 4u; // vec4s of a head
override PARTS: u32 = (GROUP + HEADS - 1u) / HEADS; // workgroups that share a KV head
override Q_LEN: u32 = HEADS * WIDTH;
override SCORES_LEN: u32 = HEADS * WORKGROUP_SIZE;
override SLOTS: u32 = (Q_LEN + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE; // vec4s of out that a thread owns
const MAX_HEADS = 16u;
const MAX_SLOTS = 8u;
const STRIPES = 8u; // partial maxima per head
override MAXIMA_LEN: u32 = HEADS * STRIPES;
const HIDDEN = -1e30; // below any score

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
@group(0) @binding(8) var<storage, read_write> partials: array<vec4<f32>>;

var<workgroup> q_tile: array<vec4<f32>, Q_LEN>; // [HEADS][WIDTH], scaled
var<workgroup> kv_rows: array<u32, WORKGROUP_SIZE>; // where each token of the tile begins in the pools
var<workgroup> scores: array<f32, SCORES_LEN>; // [HEADS][WORKGROUP_SIZE], first scores, then weights
var<workgroup> maxima: array<f32, MAXIMA_LEN>; // [HEADS][STRIPES]
var<workgroup> rescale: array<f32, HEADS>; // what a head's sums shrink by when its maximum grows

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
    let kv_head = workgroup.z / PARTS;
    let first_of_group = workgroup.z % PARTS * HEADS;
    let num_heads_here = min(HEADS, GROUP - first_of_group);
    let first_head = kv_head * GROUP + first_of_group;
    let item_at = p.items_offset + 3u * item;
    let seq = step[item_at];
    let row = step[p.cu_seqlens_q_offset + seq];
    let blocks = p.block_table_offset + step[p.block_table_offsets_offset + seq];
    let begin = step[item_at + 1u];
    let end = step[item_at + 2u];
    let query = (row * p.num_heads + first_head) * WIDTH;

    for (var i = lane; i < Q_LEN; i += WORKGROUP_SIZE) {
        q_tile[i] = vec4(0.0);
        if i < num_heads_here * WIDTH {
            q_tile[i] = q[query + i] * p.scale;
        }
    }

    var sums: array<vec4<f32>, MAX_SLOTS>; // slot s: vec4 lane + s * WORKGROUP_SIZE of [HEADS][WIDTH]
    var head_max: array<f32, MAX_HEADS>; // the same in every thread
    var head_sum: array<f32, MAX_HEADS>; // of the tokens this thread owned
    for (var head = 0u; head < HEADS; head++) {
        head_max[head] = HIDDEN;
    }

    for (var tile = begin; tile < end; tile += WORKGROUP_SIZE) {
        let tile_len = min(WORKGROUP_SIZE, end - tile);
        workgroupBarrier();
        var score: array<f32, MAX_HEADS>;
        if lane < tile_len {
            let token = tile + lane;
            let block = step[blocks + token / BLOCK_SIZE];
            let kv_row = ((block * p.num_kv_heads + kv_head) * BLOCK_SIZE + token % BLOCK_SIZE) * WIDTH;
            kv_rows[lane] = kv_row;
            for (var c = 0u; c < WIDTH; c++) {
                let k = key_at(kv_row + c);
                for (var head = 0u; head < HEADS; head++) {
                    score[head] += dot(q_tile[head * WIDTH + c], k);
                }
            }
        }
        for (var head = 0u; head < HEADS; head++) {
            scores[head * WORKGROUP_SIZE + lane] = select(HIDDEN, score[head], lane < tile_len);
        }
        workgroupBarrier();

        for (var i = lane; i < MAXIMA_LEN; i += WORKGROUP_SIZE) {
            var stripe_max = HIDDEN;
            for (var token = i % STRIPES; token < tile_len; token += STRIPES) {
                stripe_max = max(stripe_max, scores[i / STRIPES * WORKGROUP_SIZE + token]);
            }
            maxima[i] = stripe_max;
        }
        workgroupBarrier();

        for (var head = 0u; head < HEADS; head++) {
            var new_max = head_max[head];
            for (var stripe = 0u; stripe < STRIPES; stripe++) {
                new_max = max(new_max, maxima[head * STRIPES + stripe]);
            }
            let shrink = exp(head_max[head] - new_max);
            let weight = select(0.0, exp(score[head] - new_max), lane < tile_len);
            scores[head * WORKGROUP_SIZE + lane] = weight;
            head_sum[head] = head_sum[head] * shrink + weight;
            head_max[head] = new_max;
            if lane == head {
                rescale[head] = shrink;
            }
        }
        workgroupBarrier();

        for (var slot = 0u; slot < SLOTS; slot++) {
            let i = lane + slot * WORKGROUP_SIZE;
            if i < Q_LEN {
                let head = i / WIDTH;
                var sum = sums[slot] * rescale[head];
                for (var token = 0u; token < tile_len; token++) {
                    sum += scores[head * WORKGROUP_SIZE + token] * value_at(kv_rows[token] + i % WIDTH);
                }
                sums[slot] = sum;
            }
        }
    }

    workgroupBarrier();
    for (var head = 0u; head < HEADS; head++) {
        scores[head * WORKGROUP_SIZE + lane] = head_sum[head];
    }
    workgroupBarrier();
    for (var slot = 0u; slot < SLOTS; slot++) {
        let i = lane + slot * WORKGROUP_SIZE;
        if i < num_heads_here * WIDTH {
            var total = 0.0;
            for (var owner = 0u; owner < WORKGROUP_SIZE; owner++) {
                total += scores[i / WIDTH * WORKGROUP_SIZE + owner];
            }
            if item < p.num_whole {
                out[query + i] = sums[slot] / total;
            } else {
                let head = i / WIDTH;
                let partial = ((item - p.num_whole) * p.num_heads + first_head + head) * (WIDTH + 1u);
                partials[partial + i % WIDTH] = sums[slot];
                if i % WIDTH == 0u {
                    partials[partial + WIDTH] = vec4(head_max[head], total, 0.0, 0.0);
                }
            }
        }
    }
}
