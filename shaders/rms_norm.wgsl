// out[row, i] = x[row, i] * weight[i] / sqrt(mean(x[row, :]^2) + eps)
//
// x, out  [num_rows, width]
// weight  [width]
//
// One workgroup per row.   Twin: src/backend/cpu/rms_norm.rs   Test: tests/kernels/rms_norm.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    num_rows: u32,
    width: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

var<workgroup> sums: array<f32, WORKGROUP_SIZE>;

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
    let width = p.width / 4u;
    let begin = row * width;

    var sum = 0.0;
    for (var i = lane; i < width; i += WORKGROUP_SIZE) {
        sum += dot(x[begin + i], x[begin + i]);
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }

    let inverse = 1.0 / sqrt(sums[0] / f32(p.width) + p.eps);
    for (var i = lane; i < width; i += WORKGROUP_SIZE) {
        out[begin + i] = x[begin + i] * inverse * weight[i];
    }
}
