// out[row, :] = table[token_ids[row], :]
//
// table  [vocab_size, hidden_size], the piece that holds rows first_row .. first_row + num_rows
// out    [num_tokens, hidden_size]; rows whose token lies in another piece are left to that piece's dispatch
//
// One thread per vec4 of out.   Twin: src/backend/cpu/embed_tokens.rs   Test: tests/kernels/embed_tokens.rs

override WORKGROUP_SIZE: u32 = 64u;

struct Params {
    num_tokens: u32,
    hidden_size: u32,
    first_row: u32,
    num_rows: u32,
    token_ids_offset: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (workgroup.y * num_workgroups.x + workgroup.x) * WORKGROUP_SIZE + lane;
    let width = p.hidden_size / 4u;
    if i >= p.num_tokens * width {
        return;
    }
    let table_row = step[p.token_ids_offset + i / width] - p.first_row;
    if table_row < p.num_rows {
        out[i] = table[table_row * width + i % width];
    }
}
