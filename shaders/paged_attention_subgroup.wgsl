// Attention of sequences with one query row (decode), through the block table (Kwon et al. 2023):
//   out[row, head, :] = sum_j softmax_j(scale * q[row, head] . k[j]) v[j],   first <= j < end
//
// q, out          [num_tokens, num_heads, HEAD_DIM]
// k_pool, v_pool  [num_blocks, num_kv_heads, BLOCK_SIZE, HEAD_DIM]
// partials        [num_splits, num_heads, HEAD_DIM + 4]: sum_j exp(score_j - maximum) v[j]; maximum, total; two zeros
// work items      [num_items, 3]: sequence, first token, end token. The first num_whole are all that a row sees and go to
//                 out; the others are splits, which go to partials and are merged by merge_splits.
//
// The faster version of shaders/paged_attention.wgsl, for heads of one to four vec4s a lane. Its work is cut the same way: one
// workgroup per (work item, KV head, HEADS of the GROUP query heads that share it). But each team of LANES neighbouring
// lanes of a subgroup walks tiles of 4 LANES tokens alone, with a running softmax of its own, and nobody waits before the
// end. Here with a team of eight:
//
//   a token's K or V   [lane 0 | lane 1 | … | lane 7 | lane 0 | …)   vec4s: a lane owns every eighth, for all heads
//
//   scores   the lanes add up what each has of q . k; of 32 tokens each keeps the weights of four
//   sums     each adds to its vec4s of V, while the lanes hand the weights of their tokens round
//
// so that nearly all there is to read is K and V, once for all heads and in the order in which they lie: eight neighbours
// read 128 bytes in one piece. The larger the team, the fewer registers a lane needs. Four heads, four tokens and four
// numbers of a head make three 4x4 matrices, and each step is a product of two of them.
//
// Threads LANES i .. LANES (i + 1) of the workgroup must be neighbours in a subgroup: no standard promises it, every known
// driver does it where a workgroup has one dimension.
// Twin: src/backend/cpu/paged_attention.rs   Test: tests/kernels/paged_attention.rs
// Appended: attention_subgroup, kv_elements, four, four_terms of shaders/shared

override WORKGROUP_SIZE: u32 = 64u; // not less
override HEAD_DIM: u32 = 64u;
override BLOCK_SIZE: u32 = 16u;
override KV_TYPE: u32 = 0u; // 0: f32, 1: f16, packed in words
override GROUP: u32 = 1u;
override HEADS: u32 = 1u; // at most 8
override LANES: u32 = 8u; // of a team: 8, 16 or 32

override WIDTH: u32 = HEAD_DIM / 4u; // vec4s of a head
override COLUMNS: u32 = WIDTH / LANES; // vec4s of a head that a lane owns: 1 to 4
override PARTS: u32 = (GROUP + HEADS - 1u) / HEADS; // workgroups that share a KV head
override TEAMS: u32 = WORKGROUP_SIZE / LANES;
override SUMS_LEN: u32 = 8u * WORKGROUP_SIZE;
override TOTALS_LEN: u32 = 2u * TEAMS;
override KV_TILE: u32 = 4u * LANES;
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

var<workgroup> teams_sums: array<vec4<f32>, SUMS_LEN>; // [TEAMS][2][4 heads][LANES]: two columns of four heads
var<workgroup> maxima: array<vec4<f32>, TOTALS_LEN>; // [2 fours of heads][TEAMS]
var<workgroup> totals: array<vec4<f32>, TOTALS_LEN>; // [2 fours of heads][TEAMS]

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

    let lane_of_team = lane_in_subgroup % LANES;
    let first_of_team = lane_in_subgroup - lane_of_team;
    let team = lane / LANES;
    let first_head = row * p.num_heads + kv_head * GROUP + first_of_group;
    let four = vec4(0u, 1u, 2u, 3u);
    var a = heads_of(first_head + min(four, vec4(num_heads_here - 1u)), lane_of_team);
    var b: Heads;
    if HEADS > 4u {
        b = heads_of(first_head + min(four + 4u, vec4(num_heads_here - 1u)), lane_of_team);
    }

    for (var tile = (begin / KV_TILE + team) * KV_TILE; tile < end; tile += TEAMS * KV_TILE) {
        // Tokens past the end are the last again, which is finite, and are hidden.
        let tokens = tile + 4u * lane_of_team + four;
        let kv_rows = kv_at(blocks, kv_head, min(tokens, vec4(end - 1u)));

        for (var i = 0u; i < LANES / 2u; i++) {
            let near = columns_of_k(subgroupShuffle(kv_rows, first_of_team + i) + lane_of_team);
            let far = columns_of_k(subgroupShuffle(kv_rows, first_of_team + i + LANES / 2u) + lane_of_team);
            a.weights = scored(a, near, far, i, lane_of_team);
            if HEADS > 4u {
                b.weights = scored(b, near, far, i, lane_of_team);
            }
        }

        let is_seen = (tokens >= vec4(begin)) & (tokens < vec4(end));
        a = weighed(a, is_seen);
        if HEADS > 4u {
            b = weighed(b, is_seen);
        }

        for (var i = 0u; i < LANES; i++) {
            let v = columns_of_v(subgroupShuffle(kv_rows, first_of_team + i) + lane_of_team);
            a.sums = added(a.sums, v, from_lane(a.weights, first_of_team + i));
            if HEADS > 4u {
                b.sums = added(b.sums, v, from_lane(b.weights, first_of_team + i));
            }
        }
    }

    note(a, 0u, team, lane_of_team);
    if HEADS > 4u {
        note(b, 1u, team, lane_of_team);
    }
    workgroupBarrier();
    var place = Place(item < p.num_whole, first_head, WIDTH);
    if !place.is_whole {
        place.first_head = (item - p.num_whole) * p.num_heads + kv_head * GROUP + first_of_group;
        place.stride = WIDTH + 1u;
    }
    write(of_all_teams(a, 0u, lane_of_team), 0u, lane, num_heads_here, place);
    if HEADS > 4u {
        workgroupBarrier();
        write(of_all_teams(b, 1u, lane_of_team), 1u, lane, num_heads_here, place);
    }
}

fn columns_of_q(at: vec4<u32>) -> Columns {
    var four: Columns;
    four.c_0 = queries_at(at);
    if COLUMNS > 1u { four.c_1 = queries_at(at + LANES); }
    if COLUMNS > 2u { four.c_2 = queries_at(at + 2u * LANES); }
    if COLUMNS > 3u { four.c_3 = queries_at(at + 3u * LANES); }
    return four;
}

fn columns_of_k(at: vec4<u32>) -> Columns {
    var four: Columns;
    four.c_0 = keys_at(at);
    if COLUMNS > 1u { four.c_1 = keys_at(at + LANES); }
    if COLUMNS > 2u { four.c_2 = keys_at(at + 2u * LANES); }
    if COLUMNS > 3u { four.c_3 = keys_at(at + 3u * LANES); }
    return four;
}

fn heads_of(heads: vec4<u32>, lane_of_team: u32) -> Heads {
    var rows: Heads;
    rows.q = columns_of_q(heads * WIDTH + lane_of_team);
    rows.maximum = vec4(HIDDEN);
    return rows;
}

// What the other teams have to know of four heads of this one.
fn note(rows: Heads, four: u32, team: u32, lane_of_team: u32) {
    let total = total_of_team(rows.total);
    if lane_of_team == 0u {
        maxima[four * TEAMS + team] = rows.maximum;
        totals[four * TEAMS + team] = total;
    }
}

// Brings these lanes' sums to the maximum that all teams have together, and has their total.
fn of_all_teams(before: Heads, four: u32, lane_of_team: u32) -> Heads {
    var rows = before;
    var maximum = vec4(HIDDEN);
    for (var team = lane_of_team; team < TEAMS; team += LANES) {
        maximum = max(maximum, maxima[four * TEAMS + team]);
    }
    rows.maximum = largest_of_team(maximum);
    // A team that saw no token has a share of 0.
    var total = vec4(0.0);
    for (var team = lane_of_team; team < TEAMS; team += LANES) {
        total += exp(maxima[four * TEAMS + team] - rows.maximum) * totals[four * TEAMS + team];
    }
    rows.total = total_of_team(total);
    rows.sums = shrunk(before.sums, exp(before.maximum - rows.maximum));
    return rows;
}

// Adds up what the teams have of four heads, and writes it.
fn write(rows: Heads, four: u32, lane: u32, num_heads_here: u32, place: Place) {
    write_columns(rows, rows.sums.c_0, rows.sums.c_1, 0u, four, lane, num_heads_here, place);
    if COLUMNS > 2u {
        workgroupBarrier();
        write_columns(rows, rows.sums.c_2, rows.sums.c_3, 2u, four, lane, num_heads_here, place);
    }
}

// A column of four heads is 4 LANES vec4s, a head after the other. Writes the first and the second column.
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
    let mine = lane / LANES * 8u * LANES + lane % LANES;
    teams_sums[mine] = first[0];
    teams_sums[mine + LANES] = first[1];
    teams_sums[mine + 2u * LANES] = first[2];
    teams_sums[mine + 3u * LANES] = first[3];
    teams_sums[mine + 4u * LANES] = second[0];
    teams_sums[mine + 5u * LANES] = second[1];
    teams_sums[mine + 6u * LANES] = second[2];
    teams_sums[mine + 7u * LANES] = second[3];
    workgroupBarrier();
    for (var i = lane; i < 8u * LANES; i += WORKGROUP_SIZE) {
        let column = first_column + i / (4u * LANES);
        let one_of_four = i / LANES % 4u;
        let head = 4u * four + one_of_four;
        if column < COLUMNS && head < num_heads_here {
            var sum = vec4(0.0);
            for (var team = 0u; team < TEAMS; team++) {
                sum += teams_sums[team * 8u * LANES + i];
            }
            let total = rows.total[one_of_four];
            let head_at = (place.first_head + head) * place.stride;
            let at = head_at + column * LANES + i % LANES;
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
}

// With the scores of the tokens that lanes `owner` and `owner + LANES / 2` own, in these two.
fn scored(rows: Heads, near: Columns, far: Columns, owner: u32, lane_of_team: u32) -> mat4x4<f32> {
    let near_parts = parts_of_scores(rows.q, near);
    let far_parts = parts_of_scores(rows.q, far);
    let is_far = lane_of_team >= LANES / 2u;
    let is_owner = lane_of_team % (LANES / 2u) == owner;
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

// Adds up over the lanes of the team: the far half gets the sums of `far`, the other that of `near`.
fn over_half(near: vec4<f32>, far: vec4<f32>, is_far: bool) -> vec4<f32> {
    var total = select(near, far, is_far) + subgroupShuffleXor(select(far, near, is_far), LANES / 2u);
    if LANES > 16u { total += subgroupShuffleXor(total, 8u); }
    if LANES > 8u { total += subgroupShuffleXor(total, 4u); }
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
    let largest = largest_of_team(max(max(scores[0], scores[1]), max(scores[2], scores[3])));
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
