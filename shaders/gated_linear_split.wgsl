// out[row, first_out + n] = silu(g) * u   for n in 0 .. num_out
//   g = sum_k x[row, k] * gate[n, k],  u = sum_k x[row, k] * up[n, k],  silu(g) = g / (1 + exp(-g))
//
// x         [num_rows, in_features], in_features a multiple of 32
// gate, up  [num_out, in_features], the pieces of two matrices that begin at output column first_out, in the order that
//           shaders/shared/packet.wgsl describes: RowOrder::Interleaved
// scales    [num_out, in_features / 32] of bf16 of either, in the same order; of int8 and int4 only
// out       [num_rows, out_features]
//
// The version of shaders/gated_linear.wgsl for few rows on hardware, in the way of shaders/linear_split.wgsl: of a
// workgroup's 16 sums eight are of gate, and the same eight of up.
// Twin: src/backend/cpu/gated_linear.rs   Test: tests/kernels/gated_linear.rs
// Appended: slices, few_rows, x_plain, packet, gate_and_up_pairs, pair, four, eight_weights, four_terms, silu of
// shaders/shared

override WORKGROUP_SIZE: u32 = 128u; // a multiple of 4
override ROW_TILE: u32 = 4u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const MAX_ROW_TILE = 8u;
const OUTPUTS = 8u; // of a workgroup

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
    let pair = workgroup.x * (OUTPUTS / 2u) + lane % PAIRS_TOGETHER;
    // Columns past the end compute the last pair again and are not written.
    keep_slice(lane, first_row, vec2(min(pair, (p.num_out - 1u) / 2u)));

    for (var i = lane; i < ROW_TILE * OUTPUTS; i += WORKGROUP_SIZE) {
        let row = first_row + i / OUTPUTS;
        let n = workgroup.x * OUTPUTS + i % OUTPUTS;
        if row < p.num_rows && n < p.num_out {
            let g = sum_of_slices(i / OUTPUTS, i % OUTPUTS);
            let u = sum_of_slices(i / OUTPUTS, OUTPUTS + i % OUTPUTS);
            out[row * p.out_features + p.first_out + n] = silu(g) * u;
        }
    }
}
