// How a thread gets x: every one reads it for itself. Threads of a workgroup read the same vec4s, or few different ones, and
// a GPU serves them with one load. x_shuffled.wgsl may stand in its place. `x` is the kernel's.

// This lane's place in its subgroup, where that matters.
fn lane_in_subgroup() -> u32 {
    return 0u;
}

// What this lane reads ahead of the eight vec4s from `at` on: nothing.
fn own_x(at: u32, lane: u32) -> vec4<f32> {
    return vec4(0.0);
}

// The i-th of the eight.
fn x_at(at: u32, i: u32, own: vec4<f32>, lane: u32) -> vec4<f32> {
    return floats_of(x[at + i]);
}
