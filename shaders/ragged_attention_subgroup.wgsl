// Causal attention of sequences with several query rows, over their cached prefix and their new tokens alike:
//   out[row, head, :] = sum_j softmax_j(scale * q[row, head] . k[j]) v[j],   position - window < j <= position
//
// q, out          [num_tokens, num_heads, HEAD_DIM]
// k_pool, v_pool  [num_blocks, num_kv_heads, BLOCK_SIZE, HEAD_DIM], found through the block table
// work items      [num_items, 2]: (sequence, first packed row)
//
// The faster version of shaders/ragged_attention.wgsl, for heads of one to four vec4s a lane. A team of LANES neighbouring
// lanes of a subgroup owns ROWS packed rows of one KV head (packed row r is query r / GROUP, head r % GROUP) and needs nobody else:
// no workgroup memory and no barrier. It walks the tokens in tiles of 4 LANES:
//
//   scores   a lane owns four tokens, for all rows; of LANES vec4s of q each lane reads one
//   sums     of LANES vec4s of V each lane owns one, for all rows; the lanes hand the weights of their tokens round
//
// Four rows, four tokens and four numbers of a head make three 4x4 matrices, and each step is a product of two of them. The
// larger the team, the fewer registers a lane needs.
//
// Tiles begin at multiples of their size, and a token that a row does not see changes nothing: what a row gets does not
// depend on the rows beside it, bit for bit. Threads LANES i .. LANES (i + 1) of the workgroup must be neighbours in a
// subgroup: no standard promises it, every known driver does it where a workgroup has one dimension.
// Twin: src/backend/cpu/ragged_attention.rs   Test: tests/kernels/ragged_attention.rs
// Appended: attention_subgroup, kv_elements, four, four_terms of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override HEAD_DIM: u32 = 64u;
override BLOCK_SIZE: u32 = 16u;
override KV_TYPE: u32 = 0u; // 0: f32, 1: f16, packed in words
override GROUP: u32 = 1u;
override QUERY_ROWS: u32 = 16u; // of a work item, a multiple of ROWS
override ROWS: u32 = 16u; // 8 or 16
override LANES: u32 = 8u; // of a team: 8, 16 or 32

override WIDTH: u32 = HEAD_DIM / 4u; // vec4s of a head
override COLUMNS: u32 = WIDTH / LANES; // vec4s of the output that a lane owns, for each row: 1 to 4
override TEAMS: u32 = WORKGROUP_SIZE / LANES;
override TEAMS_OF_ITEM: u32 = QUERY_ROWS / ROWS;
override KV_TILE: u32 = 4u * LANES;
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
@group(0) @binding(2) var<storage, read> q: array<Four>;
@group(0) @binding(3) var<storage, read> k_pool: array<Four>;
@group(0) @binding(4) var<storage, read> v_pool: array<Four>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> k_halves: array<FourHalves>; // k_pool again, for f16
@group(0) @binding(7) var<storage, read> v_halves: array<FourHalves>;

// Four packed rows; those past the last are the last again.
struct Rows {
    at: vec4<u32>, // where their vec4s begin in q and out
    positions: vec4<u32>,
    maximum: vec4<f32>, // the same in every lane
    total: vec4<f32>, // of the weights of the tokens this lane owned
    weights: mat4x4<f32>, // of this lane's four tokens, a column for each row; first their scores
    sums: Columns, // of V by weight, divided by nothing yet
}

// All that a lane owns has a name of its own: arrays would lie in memory, for compilers unroll few loops inside loops.
@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
) {
    let team = (workgroup.y * num_workgroups.x + workgroup.x) * TEAMS + lane / LANES;
    let item = team / TEAMS_OF_ITEM;
    if item >= p.num_items {
        return;
    }
    let kv_head = workgroup.z;
    let seq = step[p.items_offset + 2u * item];
    let first_packed = step[p.items_offset + 2u * item + 1u] + team % TEAMS_OF_ITEM * ROWS;
    let first_row = step[p.cu_seqlens_q_offset + seq];
    let all_packed = (step[p.cu_seqlens_q_offset + seq + 1u] - first_row) * GROUP;
    if first_packed >= all_packed {
        return;
    }
    let last_packed = min(first_packed + ROWS, all_packed) - 1u;
    let context_len = step[p.context_lens_offset + seq];
    let blocks = p.block_table_offset + step[p.block_table_offsets_offset + seq];
    let first_position = context_len + first_packed / GROUP;
    let begin = first_position + 1u - min(first_position + 1u, p.window);
    let end = context_len + last_packed / GROUP + 1u;

    let lane_of_team = lane_in_subgroup % LANES;
    let first_of_team = lane_in_subgroup - lane_of_team;
    var a = rows_at(min(vec4(first_packed) + vec4(0u, 1u, 2u, 3u), vec4(last_packed)), first_row, context_len, kv_head);
    var b = rows_at(min(vec4(first_packed) + vec4(4u, 5u, 6u, 7u), vec4(last_packed)), first_row, context_len, kv_head);
    var c = rows_at(min(vec4(first_packed) + vec4(8u, 9u, 10u, 11u), vec4(last_packed)), first_row, context_len, kv_head);
    var d = rows_at(min(vec4(first_packed) + vec4(12u, 13u, 14u, 15u), vec4(last_packed)), first_row, context_len, kv_head);

    for (var tile = begin / KV_TILE * KV_TILE; tile < end; tile += KV_TILE) {
        // Tokens past the end are the last again, which is finite, and no row sees them.
        let tokens = vec4(tile + 4u * lane_of_team) + vec4(0u, 1u, 2u, 3u);
        let kv_rows = kv_at(blocks, kv_head, min(tokens, vec4(end - 1u)));

        a.weights = mat4x4<f32>();
        b.weights = mat4x4<f32>();
        c.weights = mat4x4<f32>();
        d.weights = mat4x4<f32>();
        for (var at = 0u; at < WIDTH; at += LANES) {
            let q_a = queries_at(a.at + at + lane_of_team);
            let q_b = queries_at(b.at + at + lane_of_team);
            var q_c: mat4x4<f32>;
            var q_d: mat4x4<f32>;
            if ROWS > 8u {
                q_c = queries_at(c.at + at + lane_of_team);
                q_d = queries_at(d.at + at + lane_of_team);
            }
            for (var i = 0u; i < LANES; i++) {
                let k = transpose(keys_at(kv_rows + at + i));
                a.weights = multiply_add(k, from_lane(q_a, first_of_team + i), a.weights);
                b.weights = multiply_add(k, from_lane(q_b, first_of_team + i), b.weights);
                if ROWS > 8u {
                    c.weights = multiply_add(k, from_lane(q_c, first_of_team + i), c.weights);
                    d.weights = multiply_add(k, from_lane(q_d, first_of_team + i), d.weights);
                }
            }
        }

        a = weighed(a, tokens);
        b = weighed(b, tokens);
        if ROWS > 8u {
            c = weighed(c, tokens);
            d = weighed(d, tokens);
        }

        for (var i = 0u; i < LANES; i++) {
            let v = columns_of_v(subgroupShuffle(kv_rows, first_of_team + i) + lane_of_team);
            a.sums = added(a.sums, v, from_lane(a.weights, first_of_team + i));
            b.sums = added(b.sums, v, from_lane(b.weights, first_of_team + i));
            if ROWS > 8u {
                c.sums = added(c.sums, v, from_lane(c.weights, first_of_team + i));
                d.sums = added(d.sums, v, from_lane(d.weights, first_of_team + i));
            }
        }
    }

    write(a, lane_of_team);
    write(b, lane_of_team);
    if ROWS > 8u {
        write(c, lane_of_team);
        write(d, lane_of_team);
    }
}

fn rows_at(packed_rows: vec4<u32>, first_row: u32, context_len: u32, kv_head: u32) -> Rows {
    var rows: Rows;
    let heads = kv_head * GROUP + packed_rows % GROUP;
    rows.at = ((first_row + packed_rows / GROUP) * p.num_heads + heads) * WIDTH;
    rows.positions = context_len + packed_rows / GROUP;
    rows.maximum = vec4(HIDDEN);
    return rows;
}

// Scores become weights; where a row's maximum grows, its sums shrink. Where a row has seen no token yet, its maximum is
// HIDDEN and its weights are 1: they shrink to 0 when it sees one.
fn weighed(before: Rows, tokens: vec4<u32>) -> Rows {
    var rows = before;
    let scores = transpose(mat4x4( // a column for each token
        seen(rows.weights[0], tokens, rows.positions.x),
        seen(rows.weights[1], tokens, rows.positions.y),
        seen(rows.weights[2], tokens, rows.positions.z),
        seen(rows.weights[3], tokens, rows.positions.w),
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

// A row's scores of four tokens, HIDDEN where it does not see them.
fn seen(scores: vec4<f32>, tokens: vec4<u32>, position: u32) -> vec4<f32> {
    let in_window = vec4(position) - tokens < vec4(p.window);
    return select(vec4(HIDDEN), scores * p.scale, in_window & (tokens <= vec4(position)));
}

fn write(rows: Rows, lane_of_team: u32) {
    let total = total_of_team(rows.total);
    for (var row = 0u; row < 4u; row++) {
        let at = rows.at[row] + lane_of_team;
        out[at] = rows.sums.c_0[row] / total[row];
        if COLUMNS > 1u {
            out[at + LANES] = rows.sums.c_1[row] / total[row];
        }
        if COLUMNS > 2u {
            out[at + 2u * LANES] = rows.sums.c_2[row] / total[row];
        }
        if COLUMNS > 3u {
            out[at + 3u * LANES] = rows.sums.c_3[row] / total[row];
        }
    }
}
