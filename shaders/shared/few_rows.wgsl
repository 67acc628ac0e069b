// A thread's ROW_TILE rows of four columns, a pair of neighbours and another: every weight it reads serves all rows. Eight
// neighbouring lanes of a subgroup each read another vec4 of x and hand it round.
// `x`, `p` and ROW_TILE are the kernel's.

const MAX_ROW_TILE = 4u;

fn sums_of(first_row: u32, pairs: vec2<u32>, lane_in_subgroup: u32) -> array<vec4<f32>, MAX_ROW_TILE> {
    let width = p.in_features / 4u;
    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    let begin = begin_of(pairs);
    var sums: array<vec4<f32>, MAX_ROW_TILE>;
    var mine: array<vec4<f32>, MAX_ROW_TILE>; // this lane's one of the eight vec4s of x in work
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            // Rows past the end are the last one again, and are not written.
            mine[i] = floats_of(x[min(first_row + i, p.num_rows - 1u) * width + k + one_of_eight]);
        }
        let scales = scales_at(pairs, k);
        for (var next = 0u; next < 8u; next += 2u * PARTS) {
            let packets = fetched(begin, k + next);
            let from_lane = first_of_eight + next;
            add_part(&sums, packet_of(packets, 0u, scales), &mine, from_lane);
            if PARTS > 1u {
                add_part(&sums, packet_of(packets, 1u, scales), &mine, from_lane + 2u);
            }
            if PARTS > 2u {
                add_part(&sums, packet_of(packets, 2u, scales), &mine, from_lane + 4u);
                add_part(&sums, packet_of(packets, 3u, scales), &mine, from_lane + 6u);
            }
        }
    }
    return sums;
}

// Adds what eight weights of each column make of two vec4s of x, which are in lanes from_lane and the next.
fn add_part(
    sums: ptr<function, array<vec4<f32>, MAX_ROW_TILE>>,
    eight: Packet,
    mine: ptr<function, array<vec4<f32>, MAX_ROW_TILE>>,
    from_lane: u32,
) {
    for (var i = 0u; i < ROW_TILE; i++) {
        let a = subgroupShuffle((*mine)[i], from_lane);
        let b = subgroupShuffle((*mine)[i], from_lane + 1u);
        (*sums)[i] = four_terms(four_terms((*sums)[i], eight.first, a), eight.second, b);
    }
}
