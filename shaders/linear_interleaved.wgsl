// out[row, first_out + n] = sum_k x[row, k] * weight[n, k] + bias[first_out + n]   for n in 0 .. num_out
// With add_to_out it is += in place of =.
//
// x       [num_rows, in_features], in_features a multiple of 32
// weight  [num_out, in_features] of f32, f16 or bf16, the piece of a matrix that begins at output column first_out.
//         ROWS_TOGETHER of its rows lie together, 16 bytes of the first, 16 of the second, …: RowOrder::Interleaved
// bias    [out_features]
// out     [num_rows, out_features]
//
// The version of shaders/linear.wgsl for few rows. A thread owns the same OUTPUTS = 4 columns of ROW_TILE rows, in the same
// order of k. Weights: eight neighbouring threads read 128 bytes in one piece. x: each of eight neighbouring lanes of a
// subgroup reads another vec4, and they hand them round; so x costs an eighth of the loads.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs
// Appended: packet, eight_weights, four_halves of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 4u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16
const MAX_ROW_TILE = 4u;
const OUTPUTS = 4u;
const ROWS_TOGETHER = 8u;

struct Params {
    num_rows: u32,
    in_features: u32,
    out_features: u32,
    first_out: u32,
    num_out: u32,
    has_bias: u32,
    add_to_out: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
) {
    let width = p.in_features / 4u;
    let first_row = workgroup.y * ROW_TILE;
    let first_n = workgroup.x * WORKGROUP_SIZE * OUTPUTS + lane;

    // Columns and rows past the end compute the last one again and are not written.
    let w = begin_of(min(vec4(first_n) + vec4(0u, 1u, 2u, 3u) * WORKGROUP_SIZE, vec4(p.num_out - 1u)));

    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    var sums: array<vec4<f32>, MAX_ROW_TILE>; // of four columns
    var mine: array<vec4<f32>, MAX_ROW_TILE>; // this lane's one of the eight vec4s of x in work
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            mine[i] = x[min(first_row + i, p.num_rows - 1u) * width + k + one_of_eight];
        }
        for (var next = 0u; next < 8u; next += 2u) {
            let at = w + packet_at(k + next);
            let eight = packet_of(weights_at(at.x), weights_at(at.y), weights_at(at.z), weights_at(at.w));
            for (var i = 0u; i < ROW_TILE; i++) {
                let a = subgroupShuffle(mine[i], first_of_eight + next);
                let b = subgroupShuffle(mine[i], first_of_eight + next + 1u);
                sums[i] = four_terms(four_terms(sums[i], eight.first, a), eight.second, b);
            }
        }
    }

    for (var j = 0u; j < OUTPUTS; j++) {
        let n = first_n + j * WORKGROUP_SIZE;
        if n >= p.num_out {
            break;
        }
        var added = 0.0;
        if p.has_bias != 0u {
            added = bias[p.first_out + n];
        }
        for (var i = 0u; i < ROW_TILE; i++) {
            if first_row + i < p.num_rows {
                let at = (first_row + i) * p.out_features + p.first_out + n;
                var value = sums[i][j] + added;
                if p.add_to_out != 0u {
                    value += out[at];
                }
                out[at] = value;
            }
        }
    }
}

fn weights_at(at: u32) -> mat2x4<f32> {
    var more: vec4<u32>;
    if WEIGHT_TYPE == 0u {
        more = weight[at + ROWS_TOGETHER];
    }
    return eight_weights(weight[at], more);
}
