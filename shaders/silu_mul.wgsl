// out[i] = silu(gate[i]) * up[i],  silu(x) = x / (1 + exp(-x))
//
// One thread per vec4.   Twin: src/backend/cpu/silu_mul.rs   Test: tests/kernels/silu_mul.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    len: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> up: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (workgroup.y * num_workgroups.x + workgroup.x) * WORKGROUP_SIZE + lane;
    if i < p.len / 4u {
        let g = gate[i];
        // exp(80) is finite, and 1 + exp(80) divides g away: WGSL promises nothing about infinities.
        out[i] = g / (1.0 + exp(min(-g, vec4(80.0)))) * up[i];
    }
}
