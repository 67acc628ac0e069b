// out[row, first_out + n] = sum_k x[row, k] * weight[n, k] + bias[first_out + n]   for n in 0 .. num_out
// With add_to_out it is += in place of =.
//
// x       [num_rows, in_features], in_features a multiple of 32
// weight  [num_out, in_features], the piece of a matrix that begins at output column first_out, in the order that
//         shaders/shared/packet.wgsl describes: RowOrder::Interleaved
// scales  [num_out, in_features / 32] of bf16, in the same order; of int8 and int4 only
// bias    [out_features]
// out     [num_rows, out_features]
//
// The version of shaders/linear.wgsl for few rows. A thread owns OUTPUTS = 4 columns of ROW_TILE rows, in the same order of
// k: two pairs of neighbours, whose 32 bytes it reads at once. Four neighbouring threads read 128 bytes of the weight in one
// piece.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs
// Appended: few_rows, x_plain, packet, weight_pairs, pair, four, eight_weights, four_terms of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 4u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const MAX_ROW_TILE = 4u;
const OUTPUTS = 4u;

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
@group(0) @binding(1) var<storage, read> x: array<Four>;
@group(0) @binding(2) var<storage, read> weight: array<Pair>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read> scales: array<u32>; // of two rows

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = workgroup.y * ROW_TILE;
    let first_pair = workgroup.x * WORKGROUP_SIZE * (OUTPUTS / 2u) + lane;

    // Columns and rows past the end compute the last one again and are not written.
    let pairs = min(vec2(first_pair, first_pair + WORKGROUP_SIZE), vec2((p.num_out - 1u) / 2u));
    let sums = sums_of(first_row, pairs, 0u, 1u, lane_in_subgroup());

    for (var j = 0u; j < OUTPUTS; j++) {
        let n = 2u * (first_pair + j / 2u * WORKGROUP_SIZE) + j % 2u;
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
