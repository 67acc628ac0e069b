// out[row, first_out + n] = silu(g) * u   for n in 0 .. num_out
//   g = sum_k x[row, k] * gate[n, k],  u = sum_k x[row, k] * up[n, k],  silu(g) = g / (1 + exp(-g))
//
// x         [num_rows, in_features]
// gate, up  [num_out, in_features], the pieces of two matrices that begin at output column first_out
// scales    [num_out, in_features / 32] of bf16 of either, of int8 and int4 only
// out       [num_rows, out_features]
//
// A thread owns OUTPUTS = 2 columns, WORKGROUP_SIZE apart, of ROW_TILE rows: every vec4 of a weight serves ROW_TILE rows,
// every vec4 of x serves 2 columns of either matrix. A row's sums run over k in one fixed order whatever ROW_TILE is.
// Twin: src/backend/cpu/gated_linear.rs   Test: tests/kernels/gated_linear.rs
// Appended: eight_weights, silu of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 8u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const MAX_ROW_TILE = 8u;
const OUTPUTS = 2u;

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
@group(0) @binding(5) var<storage, read> gate_scales: array<u32>; // two each
@group(0) @binding(6) var<storage, read> up_scales: array<u32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let width = p.in_features / 4u;
    let first_row = workgroup.y * ROW_TILE;
    let first_n = workgroup.x * WORKGROUP_SIZE * OUTPUTS + lane;

    // Columns and rows past the end compute the last one again and are not written.
    let w = min(vec2(first_n, first_n + WORKGROUP_SIZE), vec2(p.num_out - 1u)) * width;

    var sums: array<vec4<f32>, MAX_ROW_TILE>; // gate of both columns, then up of both
    for (var k = 0u; k + 1u < width; k += 2u) {
        let g0 = eight_of_gate(w.x + k);
        let g1 = eight_of_gate(w.y + k);
        let u0 = eight_of_up(w.x + k);
        let u1 = eight_of_up(w.y + k);
        for (var i = 0u; i < ROW_TILE; i++) {
            let at = min(first_row + i, p.num_rows - 1u) * width + k;
            let a = x[at];
            let b = x[at + 1u];
            sums[i] += vec4(dot(a, g0[0]), dot(a, g1[0]), dot(a, u0[0]), dot(a, u1[0]));
            sums[i] += vec4(dot(b, g0[1]), dot(b, g1[1]), dot(b, u0[1]), dot(b, u1[1]));
        }
    }
    if width % 2u == 1u { // only f32 comes with an odd number of vec4s
        let k = width - 1u;
        let g0 = bitcast<vec4<f32>>(gate[w.x + k]);
        let g1 = bitcast<vec4<f32>>(gate[w.y + k]);
        let u0 = bitcast<vec4<f32>>(up[w.x + k]);
        let u1 = bitcast<vec4<f32>>(up[w.y + k]);
        for (var i = 0u; i < ROW_TILE; i++) {
            let a = x[min(first_row + i, p.num_rows - 1u) * width + k];
            sums[i] += vec4(dot(a, g0), dot(a, g1), dot(a, u0), dot(a, u1));
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

// The weights of vec4s `at` and `at + 1` of x, counted from the first weight of the piece; `at` is even where packed.
fn eight_of_gate(at: u32) -> mat2x4<f32> {
    if WEIGHT_TYPE == 0u {
        return eight_weights(gate[at], gate[at + 1u], 0u);
    }
    let eight = at / 2u;
    return scaled_by(eight_weights(gate[eight / PARTS], vec4(0u), eight % PARTS), gate_scales[at / 16u], at);
}

fn eight_of_up(at: u32) -> mat2x4<f32> {
    if WEIGHT_TYPE == 0u {
        return eight_weights(up[at], up[at + 1u], 0u);
    }
    let eight = at / 2u;
    return scaled_by(eight_weights(up[eight / PARTS], vec4(0u), eight % PARTS), up_scales[at / 16u], at);
}

fn scaled_by(weights: mat2x4<f32>, scales: u32, at: u32) -> mat2x4<f32> {
    if WEIGHT_TYPE < 3u {
        return weights;
    }
    return weights * two_scales(scales)[at / 8u % 2u];
}
