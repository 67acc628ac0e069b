// out[row, first_out + n] = sum_k x[row, k] * weight[n, k] + bias[first_out + n]   for n in 0 .. num_out
//
// x       [num_rows, in_features]
// weight  [num_out, in_features], the piece of a matrix that begins at output column first_out
// bias    [out_features]
// out     [num_rows, out_features]
//
// A thread owns OUTPUTS = 4 columns, WORKGROUP_SIZE apart, of ROW_TILE rows: every vec4 of weight serves ROW_TILE rows,
// every vec4 of x serves 4 columns. A row's sum runs over k in one fixed order whatever ROW_TILE is.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 8u; // at most MAX_ROW_TILE
const MAX_ROW_TILE = 8u;
const OUTPUTS = 4u;

struct Params {
    num_rows: u32,
    in_features: u32,
    out_features: u32,
    first_out: u32,
    num_out: u32,
    has_bias: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

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
    for (var k = 0u; k < width; k++) {
        let w0 = weight[w.x + k];
        let w1 = weight[w.y + k];
        let w2 = weight[w.z + k];
        let w3 = weight[w.w + k];
        for (var i = 0u; i < ROW_TILE; i++) {
            let value = x[min(first_row + i, p.num_rows - 1u) * width + k];
            sums[i] += vec4(dot(value, w0), dot(value, w1), dot(value, w2), dot(value, w3));
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
                out[(first_row + i) * p.out_features + p.first_out + n] = sums[i][j] + added;
            }
        }
    }
}
