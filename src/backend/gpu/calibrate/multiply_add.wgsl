// ROUNDS times eight vec4s of x * y + z, nothing from memory: how fast this device multiplies and adds.
// No kernel of a model: `cb-lab bench`.

override WORKGROUP_SIZE: u32 = 64u;
override ROUNDS: u32 = 256u;

@group(0) @binding(0) var<storage, read> data: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let thread = workgroup.x * WORKGROUP_SIZE + lane;
    let y = data[thread % 64u];
    let z = data[(thread + 1u) % 64u];
    var a = y;
    var b = z;
    var c = y + 1.0;
    var d = z + 1.0;
    var e = y + 2.0;
    var f = z + 2.0;
    var g = y + 3.0;
    var h = z + 3.0;
    for (var round = 0u; round < ROUNDS; round++) {
        a = fma(a, y, z);
        b = fma(b, y, z);
        c = fma(c, y, z);
        d = fma(d, y, z);
        e = fma(e, y, z);
        f = fma(f, y, z);
        g = fma(g, y, z);
        h = fma(h, y, z);
    }
    out[thread] = a + b + c + d + e + f + g + h;
}
