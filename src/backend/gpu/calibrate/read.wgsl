// Reads all of `data` and keeps one vec4 a thread: how fast memory can be read. No kernel of a model: `cb-lab bench`.
//
// Eight neighbouring threads read 128 bytes in one piece and go on from there, as linear_interleaved does.

override WORKGROUP_SIZE: u32 = 64u;
const LANES = 8u;

@group(0) @binding(0) var<storage, read> data: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let thread = workgroup.x * WORKGROUP_SIZE + lane;
    let each = arrayLength(&data) / (num_workgroups.x * WORKGROUP_SIZE) / 4u * 4u;
    let begin = thread / LANES * LANES * each + thread % LANES;
    var a = vec4(0.0);
    var b = vec4(0.0);
    var c = vec4(0.0);
    var d = vec4(0.0);
    for (var i = 0u; i < each; i += 4u) {
        a += data[begin + i * LANES];
        b += data[begin + (i + 1u) * LANES];
        c += data[begin + (i + 2u) * LANES];
        d += data[begin + (i + 3u) * LANES];
    }
    out[thread] = a + b + c + d;
}
