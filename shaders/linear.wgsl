// out[row, first_out + n] = sum_k x[row, k] * weight[n, k] + bias[first_out + n]   for n in 0 .. num_out
// With add_to_out it is += in place of =.
//
// x       [num_rows, in_features]
// weight  [num_out, in_features], the piece of a matrix that begins at output column first_out
// scales  [num_out, in_features / 32] of bf16, of int8 and int4 only
// bias    [out_features]
// out     [num_rows, out_features]
//
// A thread owns OUTPUTS = 4 columns, WORKGROUP_SIZE apart, of ROW_TILE rows: every vec4 of weight serves ROW_TILE rows,
// every vec4 of x serves 4 columns. A row's sum runs over k in one fixed order whatever ROW_TILE is.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs
// Appended: eight_weights of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 8u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4
const MAX_ROW_TILE = 8u;
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
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<storage, read> scales: array<u32>; // two each

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let width = p.in_features / 4u;
    let first_row = workgroup.y * ROW_TILE;
    let first_n = workgroup.x * WORKGROUP_SIZE * OUTPUTS + lane;

    // Columns and rows past the end compute the last one again and are not written.
    let last_n = p.num_out - 1u;
    let w = vec4(
        min(first_n, last_n),
        min(first_n + WORKGROUP_SIZE, last_n),
        min(first_n + 2u * WORKGROUP_SIZE, last_n),
        min(first_n + 3u * WORKGROUP_SIZE, last_n),
    ) * width;

    var sums: array<vec4<f32>, MAX_ROW_TILE>;
    for (var k = 0u; k + 1u < width; k += 2u) {
        let w0 = weights_at(w.x + k);
        let w1 = weights_at(w.y + k);
        let w2 = weights_at(w.z + k);
        let w3 = weights_at(w.w + k);
        for (var i = 0u; i < ROW_TILE; i++) {
            let at = min(first_row + i, p.num_rows - 1u) * width + k;
            let a = x[at];
            let b = x[at + 1u];
            sums[i] += vec4(dot(a, w0[0]), dot(a, w1[0]), dot(a, w2[0]), dot(a, w3[0]));
            sums[i] += vec4(dot(b, w0[1]), dot(b, w1[1]), dot(b, w2[1]), dot(b, w3[1]));
        }
    }
    if width % 2u == 1u { // only f32 comes with an odd number of vec4s
        let k = width - 1u;
        let w0 = bitcast<vec4<f32>>(weight[w.x + k]);
        let w1 = bitcast<vec4<f32>>(weight[w.y + k]);
        let w2 = bitcast<vec4<f32>>(weight[w.z + k]);
        let w3 = bitcast<vec4<f32>>(weight[w.w + k]);
        for (var i = 0u; i < ROW_TILE; i++) {
            let a = x[min(first_row + i, p.num_rows - 1u) * width + k];
            sums[i] += vec4(dot(a, w0), dot(a, w1), dot(a, w2), dot(a, w3));
        }
    }

    for (var j = 0u; j < OUTPUTS; j++) {
        let n = first_n + j * WORKGROUP_SIZE;
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

// The weights of vec4s `at` and `at + 1` of x, counted from the first weight of the piece; `at` is even where packed.
fn weights_at(at: u32) -> mat2x4<f32> {
    if WEIGHT_TYPE == 0u {
        return eight_weights(weight[at], weight[at + 1u], 0u);
    }
    let eight = at / 2u;
    let weights = eight_weights(weight[eight / PARTS], vec4(0u), eight % PARTS);
    if WEIGHT_TYPE < 3u {
        return weights;
    }
    return weights * two_scales(scales[at / 16u])[at / 8u % 2u];
}
