// The rows of split sequences, from what paged_attention left of their splits (Dao et al. 2023):
//   out[row, head, :] = sum_i exp(maximum_i - m) sums_i[head, :] / sum_i exp(maximum_i - m) total_i,   m = max_i maximum_i
//
// partials    [num_splits, num_heads, head_dim + 4]: sums, then their maximum and total, then two zeros
// out         [num_tokens, num_heads, head_dim]
// work items  [num_items, 3]: row, first split, end split
//
// A workgroup per (work item, head), a thread per vec4 of it.   Twin: src/backend/cpu/merge_splits.rs   Test: tests/kernels/merge_splits.rs

override WORKGROUP_SIZE: u32 = 64u;

const LOWEST = -1e30; // below any maximum

struct Params {
    num_items: u32,
    num_heads: u32,
    head_dim: u32,
    items_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let item = workgroup.y * num_workgroups.x + workgroup.x;
    if item >= p.num_items {
        return;
    }
    let head = workgroup.z;
    let item_at = p.items_offset + 3u * item;
    let row = step[item_at];
    let first = step[item_at + 1u];
    let end = step[item_at + 2u];
    let width = p.head_dim / 4u; // vec4s of a head

    for (var column = lane; column < width; column += WORKGROUP_SIZE) {
        var maximum = LOWEST;
        for (var split = first; split < end; split++) {
            maximum = max(maximum, partials[partial_at(split, head) + width].x);
        }
        var total = 0.0;
        var sum = vec4(0.0);
        for (var split = first; split < end; split++) {
            let partial = partial_at(split, head);
            let of_split = partials[partial + width]; // maximum, total
            let share = exp(of_split.x - maximum);
            total += share * of_split.y;
            sum += share * partials[partial + column];
        }
        out[(row * p.num_heads + head) * width + column] = sum / total;
    }
}

// Where what is kept of a split begins for a head.
fn partial_at(split: u32, head: u32) -> u32 {
    return (split * p.num_heads + head) * (p.head_dim / 4u + 1u);
}
