// out[row, first_out + n] = sum_k x[row, k] * weight[n, k] + bias[first_out + n]   for n in 0 .. num_out
// With add_to_out it is += in place of =.
//
// x       [num_rows, in_features], in_features a multiple of 32
// weight  [num_out, in_features] of f32, f16 or bf16, the piece of a matrix that begins at output column first_out.
//         ROWS_TOGETHER of its rows lie together, 16 bytes of the first, 16 of the second, …: RowOrder::Interleaved
// bias    [out_features]
// out     [num_rows, out_features]
//
// The version of shaders/linear.wgsl for many rows. A thread owns a tile of ROW_TILE rows by OUTPUTS = 8 columns,
// WORKGROUP_SIZE apart; the order of k is that of shaders/linear_interleaved.wgsl.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs
// Appended: tile, packet, eight_weights, four_halves of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 16u; // 8 or 16
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16
const OUTPUTS = 8u;
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
    let row = workgroup.y * ROW_TILE;
    let n = workgroup.x * WORKGROUP_SIZE * OUTPUTS + lane;
    let low = four_columns(n);
    let high = four_columns(n + 4u * WORKGROUP_SIZE);
    let tile = tile_of(row, begin_of(low), begin_of(high), lane_in_subgroup);

    let added = Sums(bias_of(low), bias_of(high));
    write(row, n, tile.rows[0], added);
    write(row + 1u, n, tile.rows[1], added);
    write(row + 2u, n, tile.rows[2], added);
    write(row + 3u, n, tile.rows[3], added);
    write(row + 4u, n, tile.rows[4], added);
    write(row + 5u, n, tile.rows[5], added);
    write(row + 6u, n, tile.rows[6], added);
    write(row + 7u, n, tile.rows[7], added);
    if ROW_TILE > 8u {
        write(row + 8u, n, tile.rows[8], added);
        write(row + 9u, n, tile.rows[9], added);
        write(row + 10u, n, tile.rows[10], added);
        write(row + 11u, n, tile.rows[11], added);
        write(row + 12u, n, tile.rows[12], added);
        write(row + 13u, n, tile.rows[13], added);
        write(row + 14u, n, tile.rows[14], added);
        write(row + 15u, n, tile.rows[15], added);
    }
}

fn write(row: u32, n: u32, sums: Sums, added: Sums) {
    if row < p.num_rows {
        write_four(row, n, sums.low + added.low);
        write_four(row, n + 4u * WORKGROUP_SIZE, sums.high + added.high);
    }
}

fn write_four(row: u32, first_n: u32, values: vec4<f32>) {
    for (var j = 0u; j < 4u; j++) {
        let n = first_n + j * WORKGROUP_SIZE;
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

fn bias_of(columns: vec4<u32>) -> vec4<f32> {
    if p.has_bias == 0u {
        return vec4(0.0);
    }
    let at = columns + p.first_out;
    return vec4(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
}

// The weights that go with vec4s k and k + 1 of x.
fn packets(low: vec4<u32>, high: vec4<u32>, k: u32) -> Packets {
    let l = low + packet_at(k);
    let h = high + packet_at(k);
    return Packets(
        packet_of(weights_at(l.x), weights_at(l.y), weights_at(l.z), weights_at(l.w)),
        packet_of(weights_at(h.x), weights_at(h.y), weights_at(h.z), weights_at(h.w)),
    );
}

fn weights_at(at: u32) -> mat2x4<f32> {
    var more: vec4<u32>;
    if WEIGHT_TYPE == 0u {
        more = weight[at + ROWS_TOGETHER];
    }
    return eight_weights(weight[at], more);
}
