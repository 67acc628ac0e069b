// out[row, first_out + n] = silu(g) * u   for n in 0 .. num_out
//   g = sum_k x[row, k] * gate[n, k],  u = sum_k x[row, k] * up[n, k],  silu(g) = g / (1 + exp(-g))
//
// x         [num_rows, in_features], in_features a multiple of 32
// gate, up  [num_out, in_features] of f32, f16 or bf16, the pieces of two matrices that begin at output column first_out.
//           ROWS_TOGETHER of their rows lie together, 16 bytes of the first, 16 of the second, …: RowOrder::Interleaved
// out       [num_rows, out_features]
//
// The faster version of shaders/gated_linear.wgsl, in the ways of shaders/linear_interleaved.wgsl: eight neighbouring
// threads read 128 bytes of weights in one piece, and hand each other the vec4s of x. A thread owns OUTPUTS = 2 columns of
// ROW_TILE rows: 2 of gate and 2 of up are its four columns there. Four and four were slower: too many registers.
// Twin: src/backend/cpu/gated_linear.rs   Test: tests/kernels/gated_linear.rs
// Appended: packet, eight_weights, four_halves, silu of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 4u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16
const MAX_ROW_TILE = 4u;
const OUTPUTS = 2u;
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
    let width = p.in_features / 4u;
    let first_row = workgroup.y * ROW_TILE;
    let first_n = workgroup.x * WORKGROUP_SIZE * OUTPUTS + lane;

    // Columns and rows past the end compute the last one again and are not written.
    let columns = min(vec2(first_n, first_n + WORKGROUP_SIZE), vec2(p.num_out - 1u));
    let w = begin_of(columns.xyxy).xy;

    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    var sums: array<vec4<f32>, MAX_ROW_TILE>; // gate of both columns, then up of both
    var mine: array<vec4<f32>, MAX_ROW_TILE>; // this lane's one of the eight vec4s of x in work
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            mine[i] = x[min(first_row + i, p.num_rows - 1u) * width + k + one_of_eight];
        }
        for (var next = 0u; next < 8u; next += 2u) {
            let at = w + packet_at(k + next);
            let eight = packet_of(gate_at(at.x), gate_at(at.y), up_at(at.x), up_at(at.y));
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
        for (var i = 0u; i < ROW_TILE; i++) {
            if first_row + i < p.num_rows {
                out[(first_row + i) * p.out_features + p.first_out + n] = silu(sums[i][j]) * sums[i][OUTPUTS + j];
            }
        }
    }
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
