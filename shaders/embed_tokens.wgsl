// out[row, :] = table[token_ids[row], :], or, of tokens that the host does not know yet, table[sampled_tokens[token_ids[row]], :]
//
// sampled_tokens [_, 2] what sample left: a token id, and something else
// table  [vocab_size, hidden_size] of f32, f16, bf16 or int8, the piece that holds rows first_row .. first_row + num_rows
// scales [vocab_size, hidden_size / 32] of bf16, of int8 only
// out    [num_tokens, hidden_size]; rows whose token lies in another piece are left to that piece's dispatch
//
// One thread per vec4 of out.   Twin: src/backend/cpu/embed_tokens.rs   Test: tests/kernels/embed_tokens.rs
// Appended: eight_weights of shaders/shared

override WORKGROUP_SIZE: u32 = 64u;
override WEIGHT_TYPE: u32 = 0u; // 0: f32, 1: f16, 2: bf16, 3: int8
override INTERLEAVE: u32 = 1u; // rows that lie together. They take turns: 16 bytes of each, or a scale of each. RowOrder in src/backend/gpu/row_order.rs

struct Params {
    num_tokens: u32,
    hidden_size: u32,
    first_row: u32,
    num_rows: u32,
    token_ids_offset: u32,
    from_sampled: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> sampled_tokens: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> scales: array<u32>; // two each

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
    var token_id = step[p.token_ids_offset + i / width];
    if p.from_sampled == 1u {
        token_id = sampled_tokens[2u * token_id];
    }
    let table_row = token_id - p.first_row;
    if table_row < p.num_rows {
        out[i] = four_weights(table_row, i % width, width);
    }
}

// Weights 4 c .. 4 c + 4 of a row that has 4 width of them.
fn four_weights(row: u32, c: u32, width: u32) -> vec4<f32> {
    let fours = select(2u * PARTS, 1u, WEIGHT_TYPE == 0u); // in a vec4 of words
    let words = table[place_of(row, width / fours, c / fours)];
    if WEIGHT_TYPE == 0u {
        return bitcast<vec4<f32>>(words);
    }
    if WEIGHT_TYPE == 3u {
        let place = place_of(row, width / 8u, c / 8u);
        return four_bytes(words[c % 4u]) * two_scales(scales[place / 2u])[place % 2u];
    }
    return four_halves(select(words.xy, words.zw, c % 2u == 1u));
}

// Where the i-th 16 bytes, or the i-th scale, of a row lie. Each row has `count` of them.
fn place_of(row: u32, count: u32, i: u32) -> u32 {
    return (row / INTERLEAVE * count + i) * INTERLEAVE + row % INTERLEAVE;
}
