// Copies `data` to `out`: how fast memory can be read and written. No kernel of a model: `cb-lab bench`.

override WORKGROUP_SIZE: u32 = 64u;
const LANES = 8u; // as in read.wgsl

@group(0) @binding(0) var<storage, read> data: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let thread = workgroup.x * WORKGROUP_SIZE + lane;
    let each = arrayLength(&data) / (num_workgroups.x * WORKGROUP_SIZE);
    let begin = thread / LANES * LANES * each + thread % LANES;
    for (var i = 0u; i < each; i++) {
        out[begin + i * LANES] = data[begin + i * LANES];
    }
}
