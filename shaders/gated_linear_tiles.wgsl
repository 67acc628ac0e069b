// out[row, first_out + n] = silu(g) * u   for n in 0 .. num_out
//   g = sum_k x[row, k] * gate[n, k],  u = sum_k x[row, k] * up[n, k],  silu(g) = g / (1 + exp(-g))
//
// x         [num_rows, in_features], in_features a multiple of 32
// gate, up  [num_out, in_features], the pieces of two matrices that begin at output column first_out, in the order that
//           shaders/shared/packet.wgsl describes: RowOrder::Interleaved
// scales    [num_out, in_features / 32] of bf16 of either, in the same order; of int8 and int4 only
// out       [num_rows, out_features]
//
// The version of shaders/gated_linear.wgsl for many rows. A thread owns ROW_TILE rows by OUTPUTS = 4 columns: two pairs of
// gate and two of up are the eight columns of a tile of shaders/linear_tiles.wgsl, first a pair of each, then the others.
// Twin: src/backend/cpu/gated_linear.rs   Test: tests/kernels/gated_linear.rs
// Appended: tile, x_plain, packet, gate_and_up_pairs, pair, four, eight_weights, four_terms, silu of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 16u; // 8 or 16
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const OUTPUTS = 4u;

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
    let row = workgroup.y * ROW_TILE;
    let pair = workgroup.x * WORKGROUP_SIZE * (OUTPUTS / 2u) + lane;
    // Columns past the end are the last one again, and are not written.
    let last = (p.num_out - 1u) / 2u;
    let tile = tile_of(row, vec2(min(pair, last)), vec2(min(pair + WORKGROUP_SIZE, last)), lane_in_subgroup());

    write(row, pair, tile.rows[0]);
    write(row + 1u, pair, tile.rows[1]);
    write(row + 2u, pair, tile.rows[2]);
    write(row + 3u, pair, tile.rows[3]);
    write(row + 4u, pair, tile.rows[4]);
    write(row + 5u, pair, tile.rows[5]);
    write(row + 6u, pair, tile.rows[6]);
    write(row + 7u, pair, tile.rows[7]);
    if ROW_TILE > 8u {
        write(row + 8u, pair, tile.rows[8]);
        write(row + 9u, pair, tile.rows[9]);
        write(row + 10u, pair, tile.rows[10]);
        write(row + 11u, pair, tile.rows[11]);
        write(row + 12u, pair, tile.rows[12]);
        write(row + 13u, pair, tile.rows[13]);
        write(row + 14u, pair, tile.rows[14]);
        write(row + 15u, pair, tile.rows[15]);
    }
}

fn write(row: u32, pair: u32, sums: Sums) {
    if row < p.num_rows {
        write_two(row, 2u * pair, sums.low);
        write_two(row, 2u * (pair + WORKGROUP_SIZE), sums.high);
    }
}

// From the sums of gate of two columns, and of up.
fn write_two(row: u32, n: u32, sums: vec4<f32>) {
    let at = row * p.out_features + p.first_out + n;
    if n < p.num_out {
        out[at] = silu(sums.x) * sums.z;
    }
    if n + 1u < p.num_out {
        out[at + 1u] = silu(sums.y) * sums.w;
    }
}
