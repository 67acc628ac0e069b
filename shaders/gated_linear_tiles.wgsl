// out[row, first_out + n] = silu(g) * u   for n in 0 .. num_out
//   g = sum_k x[row, k] * gate[n, k],  u = sum_k x[row, k] * up[n, k],  silu(g) = g / (1 + exp(-g))
//
// x         [num_rows, in_features], in_features a multiple of 32
// gate, up  [num_out, in_features] of f32, f16 or bf16, the pieces of two matrices that begin at output column first_out.
//           ROWS_TOGETHER of their rows lie together, 16 bytes of the first, 16 of the second, …: RowOrder::Interleaved
// out       [num_rows, out_features]
//
// The version of shaders/gated_linear.wgsl for many rows. A thread owns ROW_TILE rows by OUTPUTS = 4 columns: the four
// columns of gate and the four of up are the eight of a tile of shaders/linear_tiles.wgsl.
// Twin: src/backend/cpu/gated_linear.rs   Test: tests/kernels/gated_linear.rs
// Appended: tile, packet, eight_weights, four_halves, silu of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 16u; // 8 or 16
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16
const OUTPUTS = 4u;
const ROWS_TOGETHER = 8u;

struct Params {
    num_rows: u32,
    in_features: u32,
    out_features: u32,
    first_out: u32,
    num_out: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gate: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> up: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
) {
    let row = workgroup.y * ROW_TILE;
    let n = workgroup.x * WORKGROUP_SIZE * OUTPUTS + lane;
    let begin = begin_of(four_columns(n));
    let tile = tile_of(row, begin, begin, lane_in_subgroup);

    write(row, n, tile.rows[0]);
    write(row + 1u, n, tile.rows[1]);
    write(row + 2u, n, tile.rows[2]);
    write(row + 3u, n, tile.rows[3]);
    write(row + 4u, n, tile.rows[4]);
    write(row + 5u, n, tile.rows[5]);
    write(row + 6u, n, tile.rows[6]);
    write(row + 7u, n, tile.rows[7]);
    if ROW_TILE > 8u {
        write(row + 8u, n, tile.rows[8]);
        write(row + 9u, n, tile.rows[9]);
        write(row + 10u, n, tile.rows[10]);
        write(row + 11u, n, tile.rows[11]);
        write(row + 12u, n, tile.rows[12]);
        write(row + 13u, n, tile.rows[13]);
        write(row + 14u, n, tile.rows[14]);
        write(row + 15u, n, tile.rows[15]);
    }
}

fn write(row: u32, first_n: u32, sums: Sums) {
    if row >= p.num_rows {
        return;
    }
    for (var j = 0u; j < OUTPUTS; j++) {
        let n = first_n + j * WORKGROUP_SIZE;
        if n < p.num_out {
            out[row * p.out_features + p.first_out + n] = silu(sums.low[j]) * sums.high[j];
        }
    }
}

// The weights of gate and of up that go with vec4s k and k + 1 of x.
fn packets(low: vec4<u32>, high: vec4<u32>, k: u32) -> Packets {
    let g = low + packet_at(k);
    let u = high + packet_at(k);
    return Packets(
        packet_of(gate_at(g.x), gate_at(g.y), gate_at(g.z), gate_at(g.w)),
        packet_of(up_at(u.x), up_at(u.y), up_at(u.z), up_at(u.w)),
    );
}

fn gate_at(at: u32) -> mat2x4<f32> {
    var more: vec4<u32>;
    if WEIGHT_TYPE == 0u {
        more = gate[at + ROWS_TOGETHER];
    }
    return eight_weights(gate[at], more);
}

fn up_at(at: u32) -> mat2x4<f32> {
    var more: vec4<u32>;
    if WEIGHT_TYPE == 0u {
        more = up[at + ROWS_TOGETHER];
    }
    return eight_weights(up[at], more);
}
