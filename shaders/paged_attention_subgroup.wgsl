// Attention of sequences with one query row (decode), through the block table (Kwon et al. 2023):
//   out[row, head, :] = sum_j softmax_j(scale * q[row, head] . k[j]) v[j],   first <= j < end
//
// q, out          [num_tokens, num_heads, HEAD_DIM]
// k_pool, v_pool  [num_blocks, num_kv_heads, BLOCK_SIZE, HEAD_DIM]
// partials        [num_splits, num_heads, HEAD_DIM + 4]: sum_j exp(score_j - maximum) v[j]; maximum, total; two zeros
// work items      [num_items, 3]: sequence, first token, end token. The first num_whole are all that a row sees and go to
//                 out; the others are splits, which go to partials and are merged by merge_splits.
//
// The faster version of shaders/paged_attention.wgsl, for heads of 32, 64, 96 or 128. Its work is cut the same way: one
// workgroup per (work item, KV head, HEADS of the GROUP query heads that share it). But each eight neighbouring lanes of a
// subgroup walk tiles of 32 tokens alone, each with a running softmax of its own, and nobody waits before the end:
//
//   a token's K or V   [lane 0 | lane 1 | … | lane 7 | lane 0 | …)   vec4s: a lane owns every eighth, for all heads
//
//   scores   the lanes add up what each has of q . k; of 32 tokens each keeps the weights of four
//   sums     each adds to its vec4s of V, while the lanes hand the weights of their tokens round
//
// so that nearly all there is to read is K and V, once for all heads and in the order in which they lie: eight neighbours
// read 128 bytes in one piece. Four heads, four tokens and four numbers of a head make three 4x4 matrices, and each step is
// a product of two of them. Lanes 8 i .. 8 i + 8 of the workgroup must be such eight neighbours of a subgroup: no standard
// promises it, every known driver does it where a workgroup has one dimension.
// Twin: src/backend/cpu/paged_attention.rs   Test: tests/kernels/paged_attention.rs
// Appended: attention_subgroup, kv_elements, four, four_terms of shaders/shared

override WORKGROUP_SIZE: u32 = 64u; // not less
override HEAD_DIM: u32 = 64u;
override BLOCK_SIZE: u32 = 16u;
override KV_TYPE: u32 = 0u; // 0: f32, 1: f16, packed in words
override GROUP: u32 = 1u;
override HEADS: u32 = 1u; // at most 8

override WIDTH: u32 = HEAD_DIM / 4u; // vec4s of a head
override COLUMNS: u32 = WIDTH / 8u; // vec4s of a head that a lane owns: 1 to 4
override PARTS: u32 = (GROUP + HEADS - 1u) / HEADS; // workgroups that share a KV head
override EIGHTS: u32 = WORKGROUP_SIZE / 8u; // of lanes
override SUMS_LEN: u32 = 64u * EIGHTS;
override TOTALS_LEN: u32 = 2u * EIGHTS;
const KV_TILE = 32u;
const HIDDEN = -1e30; // the score of a token that is not there

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
@group(0) @binding(2) var<storage, read> q: array<Four>;
@group(0) @binding(3) var<storage, read> k_pool: array<Four>;
@group(0) @binding(4) var<storage, read> v_pool: array<Four>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> k_halves: array<FourHalves>; // k_pool again, for f16
@group(0) @binding(7) var<storage, read> v_halves: array<FourHalves>;
@group(0) @binding(8) var<storage, read_write> partials: array<vec4<f32>>;

var<workgroup> eights_sums: array<vec4<f32>, SUMS_LEN>; // [EIGHTS][2][4 heads][8 lanes]: two columns of four heads
var<workgroup> maxima: array<vec4<f32>, TOTALS_LEN>; // [2 fours of heads][EIGHTS]
var<workgroup> totals: array<vec4<f32>, TOTALS_LEN>; // [2 fours of heads][EIGHTS]

// Four heads; those past the last are the last again.
struct Heads {
    q: Columns,
    maximum: vec4<f32>, // the same in every lane
    total: vec4<f32>, // of the weights of the tokens this lane owned
    weights: mat4x4<f32>, // of this lane's four tokens, a column for each head; first their scores
    sums: Columns, // of V by weight, divided by nothing yet
}

// Where heads go: vec4s of out or of partials.
struct Place {
    is_whole: bool, // to out
    first_head: u32, // number of the first one there
    stride: u32, // vec4s from head to head
}

// All that a lane owns has a name of its own: see ragged_attention_subgroup.wgsl.
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
    let item_at = p.items_offset + 3u * item;
    let seq = step[item_at];
    let row = step[p.cu_seqlens_q_offset + seq];
    let blocks = p.block_table_offset + step[p.block_table_offsets_offset + seq];
    let begin = step[item_at + 1u];
    let end = step[item_at + 2u];

    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    let eight = lane / 8u;
    let first_head = row * p.num_heads + kv_head * GROUP + first_of_group;
    let four = vec4(0u, 1u, 2u, 3u);
    var a = heads_of(first_head + min(four, vec4(num_heads_here - 1u)), one_of_eight);
    var b: Heads;
    if HEADS > 4u {
        b = heads_of(first_head + min(four + 4u, vec4(num_heads_here - 1u)), one_of_eight);
    }

    for (var tile = (begin / KV_TILE + eight) * KV_TILE; tile < end; tile += EIGHTS * KV_TILE) {
        // Tokens past the end are the last again, which is finite, and are hidden.
        let tokens = tile + 4u * one_of_eight + four;
        let kv_rows = kv_at(blocks, kv_head, min(tokens, vec4(end - 1u)));

        for (var i = 0u; i < 4u; i++) {
            let near = columns_of_k(subgroupShuffle(kv_rows, first_of_eight + i) + one_of_eight);
            let far = columns_of_k(subgroupShuffle(kv_rows, first_of_eight + i + 4u) + one_of_eight);
            a.weights = scored(a, near, far, i, one_of_eight);
            if HEADS > 4u {
                b.weights = scored(b, near, far, i, one_of_eight);
            }
        }

        let is_seen = (tokens >= vec4(begin)) & (tokens < vec4(end));
        a = weighed(a, is_seen);
        if HEADS > 4u {
            b = weighed(b, is_seen);
        }

        for (var i = 0u; i < 8u; i++) {
            let v = columns_of_v(subgroupShuffle(kv_rows, first_of_eight + i) + one_of_eight);
            a.sums = added(a.sums, v, from_lane(a.weights, first_of_eight + i));
            if HEADS > 4u {
                b.sums = added(b.sums, v, from_lane(b.weights, first_of_eight + i));
            }
        }
    }

    note(a, 0u, eight, one_of_eight);
    if HEADS > 4u {
        note(b, 1u, eight, one_of_eight);
    }
    workgroupBarrier();
    var place = Place(item < p.num_whole, first_head, WIDTH);
    if !place.is_whole {
        place.first_head = (item - p.num_whole) * p.num_heads + kv_head * GROUP + first_of_group;
        place.stride = WIDTH + 1u;
    }
    write(of_all_eights(a, 0u, one_of_eight), 0u, lane, num_heads_here, place);
    if HEADS > 4u {
        workgroupBarrier();
        write(of_all_eights(b, 1u, one_of_eight), 1u, lane, num_heads_here, place);
    }
}

fn columns_of_q(at: vec4<u32>) -> Columns {
    var four: Columns;
    four.c_0 = queries_at(at);
    if COLUMNS > 1u { four.c_1 = queries_at(at + 8u); }
    if COLUMNS > 2u { four.c_2 = queries_at(at + 16u); }
    if COLUMNS > 3u { four.c_3 = queries_at(at + 24u); }
    return four;
}

fn columns_of_k(at: vec4<u32>) -> Columns {
    var four: Columns;
    four.c_0 = keys_at(at);
    if COLUMNS > 1u { four.c_1 = keys_at(at + 8u); }
    if COLUMNS > 2u { four.c_2 = keys_at(at + 16u); }
    if COLUMNS > 3u { four.c_3 = keys_at(at + 24u); }
    return four;
}

fn heads_of(heads: vec4<u32>, one_of_eight: u32) -> Heads {
    var rows: Heads;
    rows.q = columns_of_q(heads * WIDTH + one_of_eight);
    rows.maximum = vec4(HIDDEN);
    return rows;
}

// What the other eights have to know of four heads of this one.
fn note(rows: Heads, four: u32, eight: u32, one_of_eight: u32) {
    let total = total_of_eight(rows.total);
    if one_of_eight == 0u {
        maxima[four * EIGHTS + eight] = rows.maximum;
        totals[four * EIGHTS + eight] = total;
    }
}

// Brings these lanes' sums to the maximum that all eights have together, and has their total.
fn of_all_eights(before: Heads, four: u32, one_of_eight: u32) -> Heads {
    var rows = before;
    var maximum = vec4(HIDDEN);
    for (var eight = one_of_eight; eight < EIGHTS; eight += 8u) {
        maximum = max(maximum, maxima[four * EIGHTS + eight]);
    }
    rows.maximum = largest_of_eight(maximum);
    // An eight that saw no token has a share of 0.
    var total = vec4(0.0);
    for (var eight = one_of_eight; eight < EIGHTS; eight += 8u) {
        total += exp(maxima[four * EIGHTS + eight] - rows.maximum) * totals[four * EIGHTS + eight];
    }
    rows.total = total_of_eight(total);
    rows.sums = shrunk(before.sums, exp(before.maximum - rows.maximum));
    return rows;
}

// Adds up what each eight lanes have of four heads, and writes it.
fn write(rows: Heads, four: u32, lane: u32, num_heads_here: u32, place: Place) {
    write_columns(rows, rows.sums.c_0, rows.sums.c_1, 0u, four, lane, num_heads_here, place);
    if COLUMNS > 2u {
        workgroupBarrier();
        write_columns(rows, rows.sums.c_2, rows.sums.c_3, 2u, four, lane, num_heads_here, place);
    }
}

// Lane 32 c + 8 h + i writes vec4 i of head h of four, of the first or the second column.
fn write_columns(
    rows: Heads,
    first: mat4x4<f32>,
    second: mat4x4<f32>,
    first_column: u32,
    four: u32,
    lane: u32,
    num_heads_here: u32,
    place: Place,
) {
    let mine = lane / 8u * 64u + lane % 8u;
    eights_sums[mine] = first[0];
    eights_sums[mine + 8u] = first[1];
    eights_sums[mine + 16u] = first[2];
    eights_sums[mine + 24u] = first[3];
    eights_sums[mine + 32u] = second[0];
    eights_sums[mine + 40u] = second[1];
    eights_sums[mine + 48u] = second[2];
    eights_sums[mine + 56u] = second[3];
    workgroupBarrier();
    let column = first_column + lane / 32u;
    let one_of_four = lane % 32u / 8u;
    let head = 4u * four + one_of_four;
    if lane < 64u && column < COLUMNS && head < num_heads_here {
        var sum = vec4(0.0);
        for (var eight = 0u; eight < EIGHTS; eight++) {
            sum += eights_sums[eight * 64u + lane];
        }
        let total = rows.total[one_of_four];
        let head_at = (place.first_head + head) * place.stride;
        let at = head_at + column * 8u + lane % 8u;
        if place.is_whole {
            out[at] = sum / total;
        } else {
            partials[at] = sum;
            if at == head_at {
                partials[head_at + WIDTH] = vec4(rows.maximum[one_of_four], total, 0.0, 0.0);
            }
        }
    }
}

// With the scores of the tokens that lanes `owner` and `owner + 4` own, in these two.
fn scored(rows: Heads, near: Columns, far: Columns, owner: u32, one_of_eight: u32) -> mat4x4<f32> {
    let near_parts = parts_of_scores(rows.q, near);
    let far_parts = parts_of_scores(rows.q, far);
    let is_far = one_of_eight >= 4u;
    let is_owner = one_of_eight % 4u == owner;
    return mat4x4(
        select(rows.weights[0], over_half(near_parts[0], far_parts[0], is_far), is_owner),
        select(rows.weights[1], over_half(near_parts[1], far_parts[1], is_far), is_owner),
        select(rows.weights[2], over_half(near_parts[2], far_parts[2], is_far), is_owner),
        select(rows.weights[3], over_half(near_parts[3], far_parts[3], is_far), is_owner),
    );
}

// What this lane's vec4s make of the scores of four tokens, a column for each head.
fn parts_of_scores(q: Columns, k: Columns) -> mat4x4<f32> {
    var parts = multiply_add(transpose(k.c_0), q.c_0, mat4x4<f32>());
    if COLUMNS > 1u {
        parts = multiply_add(transpose(k.c_1), q.c_1, parts);
    }
    if COLUMNS > 2u {
        parts = multiply_add(transpose(k.c_2), q.c_2, parts);
    }
    if COLUMNS > 3u {
        parts = multiply_add(transpose(k.c_3), q.c_3, parts);
    }
    return parts;
}

// Adds up over the eight lanes: the far four get the sums of `far`, the others those of `near`.
fn over_half(near: vec4<f32>, far: vec4<f32>, is_far: bool) -> vec4<f32> {
    var total = select(near, far, is_far) + subgroupShuffleXor(select(far, near, is_far), 4u);
    total += subgroupShuffleXor(total, 2u);
    total += subgroupShuffleXor(total, 1u);
    return total;
}

// Scores become weights; where a head's maximum grows, its sums shrink. Where a head has seen no token yet, its maximum is
// HIDDEN and its weights are 1: they shrink to 0 when it sees one, here or at the end.
fn weighed(before: Heads, is_seen: vec4<bool>) -> Heads {
    var rows = before;
    let scores = transpose(mat4x4( // a column for each token
        select(vec4(HIDDEN), rows.weights[0] * p.scale, is_seen),
        select(vec4(HIDDEN), rows.weights[1] * p.scale, is_seen),
        select(vec4(HIDDEN), rows.weights[2] * p.scale, is_seen),
        select(vec4(HIDDEN), rows.weights[3] * p.scale, is_seen),
    ));
    let largest = largest_of_eight(max(max(scores[0], scores[1]), max(scores[2], scores[3])));
    let maximum = max(largest, rows.maximum);
    let shrink = exp(rows.maximum - maximum);
    let weights = mat4x4(
        exp(scores[0] - maximum),
        exp(scores[1] - maximum),
        exp(scores[2] - maximum),
        exp(scores[3] - maximum),
    );
    rows.maximum = maximum;
    rows.total = fma(rows.total, shrink, (weights[0] + weights[1]) + (weights[2] + weights[3]));
    rows.weights = transpose(weights);
    rows.sums = shrunk(rows.sums, shrink);
    return rows;
}
