// In place of x_plain.wgsl where lanes are computed one after the other, and each pays for its loads: of eight vec4s each of
// eight neighbours of a subgroup reads another, and they hand them round. So x costs an eighth of the loads.
// Not the builtin, which only an entry point can have. All lanes call it, before any branch.
fn lane_in_subgroup() -> u32 {
    return subgroupExclusiveAdd(1u);
}

fn own_x(at: u32, lane: u32) -> vec4<f32> {
    return floats_of(x[at + lane % 8u]);
}

fn x_at(at: u32, i: u32, own: vec4<f32>, lane: u32) -> vec4<f32> {
    return subgroupShuffle(own, lane / 8u * 8u + i);
}
