// How the threads of a workgroup lie in subgroups: what eight neighbours hand each other, and each one's own place.

@group(0) @binding(0) var<storage, read_write> out: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
) {
    let neighbours = vec3(
        subgroupShuffleXor(lane, 1u),
        subgroupShuffleXor(lane, 2u),
        subgroupShuffleXor(lane, 4u),
    );
    out[workgroup.x * 64u + lane] = vec4(lane_in_subgroup, neighbours);
}
