// out[row, first_out + n] = sum_k x[row, k] * weight[n, k] + bias[first_out + n]   for n in 0 .. num_out
// With add_to_out it is += in place of =.
//
// x       [num_rows, in_features], in_features a multiple of 32
// weight  [num_out, in_features] of f32, f16 or bf16, the piece of a matrix that begins at output column first_out.
//         ROWS_TOGETHER of its rows lie together, 16 bytes of the first, 16 of the second, …: RowOrder::Interleaved
// bias    [out_features]
// out     [num_rows, out_features]
//
// The faster version of shaders/linear.wgsl. A thread owns the same OUTPUTS = 4 columns of ROW_TILE rows, in the same order
// of k. Weights: eight neighbouring threads read 128 bytes in one piece. x: each of eight neighbouring lanes of a subgroup
// reads another vec4, and they hand them round; so x costs an eighth of the loads.
// Twin: src/backend/cpu/linear.rs   Test: tests/kernels/linear.rs

override WORKGROUP_SIZE: u32 = 64u;
override ROW_TILE: u32 = 8u; // at most MAX_ROW_TILE
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16
const MAX_ROW_TILE = 8u;
const OUTPUTS = 4u;
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

// Eight weights of each of four columns: `first * x` takes the first four times a vec4 of x, for each column.
struct Packet {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

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
    let columns = min(vec4(first_n) + vec4(0u, 1u, 2u, 3u) * WORKGROUP_SIZE, vec4(p.num_out - 1u));
    let packets = select(width / 2u, width, WEIGHT_TYPE == 0u);
    let w = columns / ROWS_TOGETHER * packets * ROWS_TOGETHER + columns % ROWS_TOGETHER;

    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    var sums: array<vec4<f32>, MAX_ROW_TILE>; // of four columns
    var mine: array<vec4<f32>, MAX_ROW_TILE>; // this lane's one of the eight vec4s of x in work
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            mine[i] = x[min(first_row + i, p.num_rows - 1u) * width + k + one_of_eight];
        }
        for (var next = 0u; next < 8u; next += 2u) {
            let eight = packet(w, k + next);
            for (var i = 0u; i < ROW_TILE; i++) {
                sums[i] += eight.first * subgroupShuffle(mine[i], first_of_eight + next);
                sums[i] += eight.second * subgroupShuffle(mine[i], first_of_eight + next + 1u);
            }
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

// The weights that go with vec4s k and k + 1 of x; `w` says where the four columns begin.
fn packet(w: vec4<u32>, k: u32) -> Packet {
    if WEIGHT_TYPE == 0u {
        return Packet(four_f32(w + k * ROWS_TOGETHER), four_f32(w + (k + 1u) * ROWS_TOGETHER));
    }
    let at = w + k / 2u * ROWS_TOGETHER;
    let a = weight[at.x];
    let b = weight[at.y];
    let c = weight[at.z];
    let d = weight[at.w];
    return Packet(
        transpose(mat4x4(four(a.xy), four(b.xy), four(c.xy), four(d.xy))),
        transpose(mat4x4(four(a.zw), four(b.zw), four(c.zw), four(d.zw))),
    );
}

fn four_f32(at: vec4<u32>) -> mat4x4<f32> {
    let columns = mat4x4(
        bitcast<vec4<f32>>(weight[at.x]),
        bitcast<vec4<f32>>(weight[at.y]),
        bitcast<vec4<f32>>(weight[at.z]),
        bitcast<vec4<f32>>(weight[at.w]),
    );
    return transpose(columns);
}

// Four weights from two words of halves.
fn four(halves: vec2<u32>) -> vec4<f32> {
    if WEIGHT_TYPE == 1u {
        return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
    }
    let low = bitcast<vec2<f32>>(halves << vec2(16u));
    let high = bitcast<vec2<f32>>(halves & vec2(0xffff0000u));
    return vec4(low.x, high.x, low.y, high.y);
}
