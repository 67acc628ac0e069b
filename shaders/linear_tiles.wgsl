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
// The version of shaders/linear.wgsl for many rows. A thread owns a tile of ROW_TILE rows by OUTPUTS = 8 columns,
// pairs of neighbours; the order of k is that of shaders/linear_interleaved.wgsl.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs
// Appended: tile, x_plain, packet, weight_pairs, pair, four, eight_weights, four_terms of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 16u; // 8 or 16
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const OUTPUTS = 8u;

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
    let row = workgroup.y * ROW_TILE;
    let first_pair = workgroup.x * WORKGROUP_SIZE * (OUTPUTS / 2u) + lane;
    let low = vec2(first_pair, first_pair + WORKGROUP_SIZE);
    let high = low + 2u * WORKGROUP_SIZE;
    // Columns past the end are the last one again, and are not written.
    let last = vec2((p.num_out - 1u) / 2u);
    let tile = tile_of(row, min(low, last), min(high, last), lane_in_subgroup());

    let added = Sums(bias_of(low), bias_of(high));
    write(row, first_pair, tile.rows[0], added);
    write(row + 1u, first_pair, tile.rows[1], added);
    write(row + 2u, first_pair, tile.rows[2], added);
    write(row + 3u, first_pair, tile.rows[3], added);
    write(row + 4u, first_pair, tile.rows[4], added);
    write(row + 5u, first_pair, tile.rows[5], added);
    write(row + 6u, first_pair, tile.rows[6], added);
    write(row + 7u, first_pair, tile.rows[7], added);
    if ROW_TILE > 8u {
        write(row + 8u, first_pair, tile.rows[8], added);
        write(row + 9u, first_pair, tile.rows[9], added);
        write(row + 10u, first_pair, tile.rows[10], added);
        write(row + 11u, first_pair, tile.rows[11], added);
        write(row + 12u, first_pair, tile.rows[12], added);
        write(row + 13u, first_pair, tile.rows[13], added);
        write(row + 14u, first_pair, tile.rows[14], added);
        write(row + 15u, first_pair, tile.rows[15], added);
    }
}

fn write(row: u32, first_pair: u32, sums: Sums, added: Sums) {
    if row < p.num_rows {
        write_four(row, first_pair, sums.low + added.low);
        write_four(row, first_pair + 2u * WORKGROUP_SIZE, sums.high + added.high);
    }
}

fn write_four(row: u32, first_pair: u32, values: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        let n = 2u * (first_pair + j / 2u * WORKGROUP_SIZE) + j % 2u;
        if n < p.num_out {
            let at = row * p.out_features + p.first_out + n;
            var value = values[j];
            if p.add_to_out != 0u {
                value += out[at];
            }
            out[at] = value;
        }
    }
}

fn bias_of(pairs: vec2<u32>) -> vec4<f32> {
    if p.has_bias == 0u {
        return vec4(0.0);
    }
    let at = min(2u * pairs.xxyy + vec4(0u, 1u, 0u, 1u), vec4(p.num_out - 1u)) + p.first_out;
    return vec4(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}
