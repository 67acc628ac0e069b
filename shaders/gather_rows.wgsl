// out[row, :] = x[logit_indices[row], :]
//
// x    [num_tokens, width]
// out  [num_rows, width]
//
// One thread per vec4 of out.   Twin: src/backend/cpu/gather_rows.rs   Test: tests/kernels/gather_rows.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    num_rows: u32,
    width: u32,
    indices_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (workgroup.y * num_workgroups.x + workgroup.x) * WORKGROUP_SIZE + lane;
    let width = p.width / 4u;
    if i < p.num_rows * width {
        out[i] = x[step[p.indices_offset + i / width] * width + i % width];
    }
}
