// x[i] += y[i]
//
// One thread per vec4.   Twin: src/backend/cpu/residual_add.rs   Test: tests/kernels/residual_add.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    len: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (workgroup.y * num_workgroups.x + workgroup.x) * WORKGROUP_SIZE + lane;
    if i < p.len / 4u {
        x[i] += y[i];
    }
}
