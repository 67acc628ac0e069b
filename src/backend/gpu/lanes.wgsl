// How the threads of a workgroup lie in subgroups: each one's place, and what others hand it.

@group(0) @binding(0) var<storage, read_write> out: array<array<u32, 6>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_invocation_id) lane_in_subgroup: u32,
) {
    // The last two mean nothing where a subgroup has fewer lanes.
    out[workgroup.x * 64u + lane] = array(
        lane_in_subgroup,
        subgroupShuffleXor(lane, 1u),
        subgroupShuffleXor(lane, 2u),
        subgroupShuffleXor(lane, 4u),
        subgroupShuffleXor(lane, 8u),
        subgroupShuffleXor(lane, 16u),
    );
}
