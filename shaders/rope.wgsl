// Rotates each head of x in place:
//   (a, b) = (x[i], x[i + head_dim/2])  becomes  (a * cos - b * sin, b * cos + a * sin)
//
// x      [num_tokens, num_heads, head_dim]
// table  [max_model_len, head_dim]: the cosines of a position's head_dim/2 angles, then the sines
//
// One thread per four pairs.   Twin: src/backend/cpu/rope.rs   Test: tests/kernels/rope.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    num_tokens: u32,
    num_heads: u32,
    head_dim: u32,
    positions_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (workgroup.y * num_workgroups.x + workgroup.x) * WORKGROUP_SIZE + lane;
    let half = p.head_dim / 8u;
    if i >= p.num_tokens * p.num_heads * half {
        return;
    }
    let head = i / half;
    let pair = i % half;
    let position = step[p.positions_offset + head / p.num_heads];
    let cosine = table[position * half * 2u + pair];
    let sine = table[position * half * 2u + half + pair];
    let first = head * half * 2u + pair;
    let second = first + half;
    let a = x[first];
    let b = x[second];
    x[first] = a * cosine - b * sine;
    x[second] = b * cosine + a * sine;
}
