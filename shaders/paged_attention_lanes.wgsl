// Attention of sequences with one query row (decode), through the block table (Kwon et al. 2023):
//   out[row, head, :] = sum_j softmax_j(scale * q[row, head] . k[j]) v[j],   position - window < j <= position
//
// q, out          [num_tokens, num_heads, HEAD_DIM]
// k_pool, v_pool  [num_blocks, num_kv_heads, BLOCK_SIZE, HEAD_DIM]
// work items      [num_items]: sequences
//
// The faster version of shaders/paged_attention.wgsl, for heads of a multiple of 32. Its work is cut the same way; what
// differs is that eight neighbouring lanes of a subgroup hand values round instead of each reading all of them:
//
//   scores   a lane owns a token; of eight vec4s of q each of the eight lanes reads one
//   sums     a lane owns a vec4 of V for all heads; of eight tokens' places and weights each lane reads one
//
// so that nearly all that is left to read is K and V, once for all heads. Lanes 8 i .. 8 i + 8 of the workgroup must be such
// eight neighbours of a subgroup: no standard promises it, every known driver does it where a workgroup has one dimension.
// Twin: src/backend/cpu/paged_attention.rs   Test: tests/kernels/paged_attention.rs

override WORKGROUP_SIZE: u32 = 64u; // at most 8 * CLUSTERS
override HEAD_DIM: u32 = 64u;
override BLOCK_SIZE: u32 = 16u;
override GROUP: u32 = 1u;
override HEADS: u32 = 1u; // at most MAX_HEADS

override WIDTH: u32 = HEAD_DIM / 4u; // vec4s of a head, a multiple of 8
override PARTS: u32 = (GROUP + HEADS - 1u) / HEADS; // workgroups that share a KV head
override FOURS: u32 = (HEADS + 3u) / 4u; // vec4s that hold a value for each head
override TOKEN_GROUPS: u32 = WORKGROUP_SIZE / WIDTH; // groups of lanes that sum over different tokens
override SHARED_LEN: u32 = TOKEN_GROUPS * HEADS * WIDTH;
override WEIGHTS_LEN: u32 = FOURS * WORKGROUP_SIZE;
override MAXIMA_LEN: u32 = FOURS * CLUSTERS;
const MAX_HEADS = 8u;
const MAX_FOURS = 2u;
const CLUSTERS = 8u;
const HIDDEN = -1e30; // below any score

struct Params {
    num_items: u32,
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
@group(0) @binding(3) var<storage, read> k_pool: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> v_pool: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

var<workgroup> shared_rows: array<vec4<f32>, SHARED_LEN>; // [HEADS][WIDTH] scaled q; at the end [TOKEN_GROUPS][HEADS][WIDTH] sums
var<workgroup> kv_rows: array<u32, WORKGROUP_SIZE>; // where each token of the tile begins in the pools
var<workgroup> weights: array<vec4<f32>, WEIGHTS_LEN>; // [FOURS][WORKGROUP_SIZE], of four heads each
var<workgroup> maxima: array<vec4<f32>, MAXIMA_LEN>; // [FOURS][CLUSTERS], of eight tokens; at the end their sums

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
) {
    let item = workgroup.y * num_workgroups.x + workgroup.x;
    if item >= p.num_items {
        return;
    }
    let kv_head = workgroup.z / PARTS;
    let first_of_group = workgroup.z % PARTS * HEADS;
    let num_heads_here = min(HEADS, GROUP - first_of_group);
    let first_head = kv_head * GROUP + first_of_group;
    let seq = step[p.items_offset + item];
    let row = step[p.cu_seqlens_q_offset + seq];
    let blocks = p.block_table_offset + step[p.block_table_offsets_offset + seq];
    let end = step[p.context_lens_offset + seq] + 1u;
    let begin = end - min(end, p.window);
    let query = (row * p.num_heads + first_head) * WIDTH;

    for (var i = lane; i < HEADS * WIDTH; i += WORKGROUP_SIZE) {
        shared_rows[i] = vec4(0.0);
        if i < num_heads_here * WIDTH {
            shared_rows[i] = q[query + i] * p.scale;
        }
    }

    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    let c = lane % WIDTH; // the vec4 of V that this lane sums up,
    let token_group = min(lane / WIDTH, TOKEN_GROUPS - 1u); // over every TOKEN_GROUPS-th eight tokens
    var sums: array<vec4<f32>, MAX_HEADS>;
    var head_max: array<vec4<f32>, MAX_FOURS>; // the same in every lane
    var head_sum: array<vec4<f32>, MAX_FOURS>; // of the tokens this lane owned
    for (var four = 0u; four < FOURS; four++) {
        head_max[four] = vec4(HIDDEN);
    }

    for (var tile = begin; tile < end; tile += WORKGROUP_SIZE) {
        // Lanes past the end take the last token, which is finite, with weight 0.
        let tile_len = min(WORKGROUP_SIZE, end - tile);
        let token = tile + min(lane, tile_len - 1u);
        let block = step[blocks + token / BLOCK_SIZE];
        let kv_row = ((block * p.num_kv_heads + kv_head) * BLOCK_SIZE + token % BLOCK_SIZE) * WIDTH;
        workgroupBarrier();
        kv_rows[lane] = kv_row;
        var score: array<vec4<f32>, MAX_FOURS>;
        if lane - lane % 8u < tile_len { // or none of the eight has a token
            for (var at = 0u; at < WIDTH; at += 8u) {
                var mine: array<vec4<f32>, MAX_HEADS>;
                for (var head = 0u; head < HEADS; head++) {
                    mine[head] = shared_rows[head * WIDTH + at + one_of_eight];
                }
                for (var i = 0u; i < 8u; i++) {
                    let k = k_pool[kv_row + at + i];
                    for (var head = 0u; head < HEADS; head++) {
                        score[head / 4u][head % 4u] += dot(subgroupShuffle(mine[head], first_of_eight + i), k);
                    }
                }
            }
        }
        for (var four = 0u; four < FOURS; four++) {
            score[four] = select(vec4(HIDDEN), score[four], lane < tile_len);
            var largest = score[four];
            largest = max(largest, subgroupShuffleXor(largest, 1u));
            largest = max(largest, subgroupShuffleXor(largest, 2u));
            largest = max(largest, subgroupShuffleXor(largest, 4u));
            if one_of_eight == 0u {
                maxima[four * CLUSTERS + lane / 8u] = largest;
            }
        }
        workgroupBarrier();

        var shrink: array<vec4<f32>, MAX_FOURS>;
        for (var four = 0u; four < FOURS; four++) {
            var new_max = head_max[four];
            for (var cluster = 0u; cluster < WORKGROUP_SIZE / 8u; cluster++) {
                new_max = max(new_max, maxima[four * CLUSTERS + cluster]);
            }
            let weight = exp(score[four] - new_max); // 0 for lanes past the end
            weights[four * WORKGROUP_SIZE + lane] = weight;
            shrink[four] = exp(head_max[four] - new_max);
            head_sum[four] = head_sum[four] * shrink[four] + weight;
            head_max[four] = new_max;
        }
        workgroupBarrier();

        for (var head = 0u; head < HEADS; head++) {
            sums[head] *= shrink[head / 4u][head % 4u];
        }
        for (var first = 0u; first < tile_len; first += 8u * TOKEN_GROUPS) {
            let eighth = first + 8u * token_group + one_of_eight;
            let my_row = kv_rows[eighth];
            var mine: array<vec4<f32>, MAX_FOURS>;
            for (var four = 0u; four < FOURS; four++) {
                mine[four] = weights[four * WORKGROUP_SIZE + eighth];
            }
            for (var i = 0u; i < 8u; i++) {
                let v = v_pool[subgroupShuffle(my_row, first_of_eight + i) + c];
                var weight: array<vec4<f32>, MAX_FOURS>;
                for (var four = 0u; four < FOURS; four++) {
                    weight[four] = subgroupShuffle(mine[four], first_of_eight + i);
                }
                for (var head = 0u; head < HEADS; head++) {
                    sums[head] += weight[head / 4u][head % 4u] * v;
                }
            }
        }
    }

    workgroupBarrier();
    if lane < TOKEN_GROUPS * WIDTH {
        for (var head = 0u; head < HEADS; head++) {
            shared_rows[(token_group * HEADS + head) * WIDTH + c] = sums[head];
        }
    }
    for (var four = 0u; four < FOURS; four++) {
        var total = head_sum[four];
        total += subgroupShuffleXor(total, 1u);
        total += subgroupShuffleXor(total, 2u);
        total += subgroupShuffleXor(total, 4u);
        if one_of_eight == 0u {
            maxima[four * CLUSTERS + lane / 8u] = total;
        }
    }
    workgroupBarrier();
    for (var i = lane; i < num_heads_here * WIDTH; i += WORKGROUP_SIZE) {
        let head = i / WIDTH;
        var total = 0.0;
        for (var cluster = 0u; cluster < WORKGROUP_SIZE / 8u; cluster++) {
            total += maxima[head / 4u * CLUSTERS + cluster][head % 4u];
        }
        var sum = vec4(0.0);
        for (var group = 0u; group < TOKEN_GROUPS; group++) {
            sum += shared_rows[group * HEADS * WIDTH + i];
        }
        out[query + i] = sum / total;
    }
}
