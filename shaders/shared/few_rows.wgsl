// A thread's ROW_TILE rows of four columns, a pair of neighbours and another: every weight it reads serves all rows.
// `p`, ROW_TILE and MAX_ROW_TILE are the kernel's; own_x and x_at are in x_plain.wgsl or x_shuffled.wgsl.

// Of eights of vec4s of k: the first is `first`, and the next is `stride` further on. `lane` is its place in its subgroup.
fn sums_of(
    first_row: u32,
    pairs: vec2<u32>,
    first: u32,
    stride: u32,
    lane: u32,
) -> array<vec4<f32>, MAX_ROW_TILE> {
    let width = p.in_features / 4u;
    let begin = begin_of(pairs);
    var sums: array<vec4<f32>, MAX_ROW_TILE>;
    var own: array<vec4<f32>, MAX_ROW_TILE>; // of the eight vec4s of x in work
    for (var k = 8u * first; k < width; k += 8u * stride) {
        for (var i = 0u; i < ROW_TILE; i++) {
            own[i] = own_x(begin_of_row(first_row + i) + k, lane);
        }
        let scales = scales_at(pairs, k);
        for (var next = 0u; next < 8u; next += 2u * PARTS) {
            let packets = fetched(begin, k + next);
            add_part(&sums, packet_of(packets, 0u, scales), &own, first_row, k, next, lane);
            if PARTS > 1u {
                add_part(&sums, packet_of(packets, 1u, scales), &own, first_row, k, next + 2u, lane);
            }
            if PARTS > 2u {
                add_part(&sums, packet_of(packets, 2u, scales), &own, first_row, k, next + 4u, lane);
                add_part(&sums, packet_of(packets, 3u, scales), &own, first_row, k, next + 6u, lane);
            }
        }
    }
    return sums;
}

// Where a row of x begins. Rows past the end are the last one again, and are not written.
fn begin_of_row(row: u32) -> u32 {
    return min(row, p.num_rows - 1u) * (p.in_features / 4u);
}

// Adds what eight weights of each column make of two vec4s of x: the i-th of the eight from k on, and the next.
fn add_part(
    sums: ptr<function, array<vec4<f32>, MAX_ROW_TILE>>,
    eight: Packet,
    own: ptr<function, array<vec4<f32>, MAX_ROW_TILE>>,
    first_row: u32,
    k: u32,
    i: u32,
    lane: u32,
) {
    for (var row = 0u; row < ROW_TILE; row++) {
        let at = begin_of_row(first_row + row) + k;
        let a = x_at(at, i, (*own)[row], lane);
        let b = x_at(at, i + 1u, (*own)[row], lane);
        (*sums)[row] = four_terms(four_terms((*sums)[row], eight.first, a), eight.second, b);
    }
}
