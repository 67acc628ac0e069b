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
// The version of shaders/linear.wgsl for few rows on hardware. A GPU has room for many more threads than a matrix has
// columns, and waits long for memory. So the threads of a workgroup share the sums of 16 columns: each adds up a slice of k,
// of four columns of ROW_TILE rows. At the end each of the first threads adds up the slices of one output.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs
// Appended: slices, few_rows, x_plain, packet, weight_pairs, pair, four, eight_weights, four_terms of shaders/shared

override WORKGROUP_SIZE: u32 = 128u; // a multiple of 4
override ROW_TILE: u32 = 4u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const MAX_ROW_TILE = 8u;
const OUTPUTS = 16u; // of a workgroup

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
    let first_pair = workgroup.x * (OUTPUTS / 2u) + lane % PAIRS_TOGETHER;
    // Columns past the end compute the last pair again and are not written.
    keep_slice(lane, first_row, min(vec2(first_pair, first_pair + PAIRS_TOGETHER), vec2((p.num_out - 1u) / 2u)));

    for (var i = lane; i < ROW_TILE * OUTPUTS; i += WORKGROUP_SIZE) {
        let row = first_row + i / OUTPUTS;
        let n = workgroup.x * OUTPUTS + i % OUTPUTS;
        if row < p.num_rows && n < p.num_out {
            var value = sum_of_slices(i / OUTPUTS, i % OUTPUTS);
            if p.has_bias != 0u {
                value += bias[p.first_out + n];
            }
            let at = row * p.out_features + p.first_out + n;
            if p.add_to_out != 0u {
                value += out[at];
            }
            out[at] = value;
        }
    }
}
