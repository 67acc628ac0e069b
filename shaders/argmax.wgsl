// out[row] = (index of the largest x[row, :], its natural log-probability under softmax(x[row, :]))
//
// x    [num_rows, width]
// out  [num_rows, 2]: a u32, and the bits of an f32
//
// The lowest index wins a tie; NaN never wins; index 0 if there is nothing but NaN.
// One workgroup per row.   Twin: src/backend/cpu/argmax.rs   Test: tests/kernels/argmax.rs

override WORKGROUP_SIZE: u32 = 64u;
const LOWEST = -3.4028234e38;

struct Params {
    num_rows: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

var<workgroup> values: array<f32, WORKGROUP_SIZE>;
var<workgroup> indices: array<u32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup.y * num_workgroups.x + workgroup.x;
    if row >= p.num_rows {
        return;
    }
    let begin = row * p.width;

    var best = LOWEST;
    var best_idx = p.width;
    for (var i = lane; i < p.width; i += WORKGROUP_SIZE) {
        if x[begin + i] > best {
            best = x[begin + i];
            best_idx = i;
        }
    }
    values[lane] = best;
    indices[lane] = best_idx;
    workgroupBarrier();
    for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
        if lane < half {
            let other = values[lane + half];
            let other_idx = indices[lane + half];
            if other > values[lane] || (other == values[lane] && other_idx < indices[lane]) {
                values[lane] = other;
                indices[lane] = other_idx;
            }
        }
        workgroupBarrier();
    }
    let largest = values[0];
    let largest_idx = indices[0] % p.width; // no thread found a number: width becomes 0
    workgroupBarrier();

    var sum = 0.0;
    for (var i = lane; i < p.width; i += WORKGROUP_SIZE) {
        sum += exp(x[begin + i] - largest);
    }
    values[lane] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
        if lane < half {
            values[lane] += values[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        out[2u * row] = largest_idx;
        out[2u * row + 1u] = bitcast<u32>(-log(values[0]));
    }
}
