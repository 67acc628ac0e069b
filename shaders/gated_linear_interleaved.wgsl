// out[row, first_out + n] = silu(g) * u   for n in 0 .. num_out
//   g = sum_k x[row, k] * gate[n, k],  u = sum_k x[row, k] * up[n, k],  silu(g) = g / (1 + exp(-g))
//
// x         [num_rows, in_features], in_features a multiple of 32
// gate, up  [num_out, in_features], the pieces of two matrices that begin at output column first_out, in the order that
//           shaders/shared/packet.wgsl describes: RowOrder::Interleaved
// scales    [num_out, in_features / 32] of bf16 of either, in the same order; of int8 and int4 only
// out       [num_rows, out_features]
//
// The version of shaders/gated_linear.wgsl for few rows, in the ways of shaders/linear_interleaved.wgsl. A thread owns
// OUTPUTS = 2 columns of ROW_TILE rows: a pair of gate and one of up are its four columns there. Four and four were slower:
// too many registers.
// Twin: src/backend/cpu/gated_linear.rs   Test: tests/kernels/gated_linear.rs
// Appended: few_rows, x_plain, packet, gate_and_up_pairs, pair, four, eight_weights, four_terms, silu of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 4u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const MAX_ROW_TILE = 4u;
const OUTPUTS = 2u;

struct Params {
    num_rows: u32,
    in_features: u32,
    out_features: u32,
    first_out: u32,
    num_out: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<Four>;
@group(0) @binding(2) var<storage, read> gate: array<Pair>;
@group(0) @binding(3) var<storage, read> up: array<Pair>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read> gate_scales: array<u32>; // of two rows
@group(0) @binding(6) var<storage, read> up_scales: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = workgroup.y * ROW_TILE;
    let first_pair = workgroup.x * WORKGROUP_SIZE + lane;

    // Columns and rows past the end compute the last one again and are not written.
    let pairs = vec2(min(first_pair, (p.num_out - 1u) / 2u));
    let sums = sums_of(first_row, pairs, 0u, 1u, lane_in_subgroup());

    for (var j = 0u; j < OUTPUTS; j++) {
        let n = 2u * first_pair + j;
        if n >= p.num_out {
            break;
        }
        for (var i = 0u; i < ROW_TILE; i++) {
            if first_row + i < p.num_rows {
                out[(first_row + i) * p.out_features + p.first_out + n] = silu(sums[i][j]) * sums[i][OUTPUTS + j];
            }
        }
    }
}
