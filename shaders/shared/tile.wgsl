// A thread's tile of ROW_TILE rows by eight columns: every weight it reads serves ROW_TILE rows, every vec4 of x eight
// columns. Eight neighbouring lanes of a subgroup each read another vec4 of x and hand it round.
// `x`, `p` and ROW_TILE are the kernel's.

// A row's sums of four columns, and of four others.
struct Sums {
    low: vec4<f32>,
    high: vec4<f32>,
}

struct Tile {
    rows: array<Sums, 16>,
}

// Columns: two pairs of `low`, two of `high`.
fn tile_of(first_row: u32, low_pairs: vec2<u32>, high_pairs: vec2<u32>, lane_in_subgroup: u32) -> Tile {
    let width = p.in_features / 4u;
    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    let low_begin = begin_of(low_pairs);
    let high_begin = begin_of(high_pairs);
    var tile: Tile;
    var mine: array<vec4<f32>, 16>; // this lane's one of the eight vec4s of x in work
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            // Rows past the end are the last one again, and are not written.
            mine[i] = floats_of(x[min(first_row + i, p.num_rows - 1u) * width + k + one_of_eight]);
        }
        let low_scales = scales_at(low_pairs, k);
        let high_scales = scales_at(high_pairs, k);
        for (var next = 0u; next < 8u; next += 2u * PARTS) {
            let low = fetched(low_begin, k + next);
            let high = fetched(high_begin, k + next);
            let from_lane = first_of_eight + next;
            add_part(&tile, packet_of(low, 0u, low_scales), packet_of(high, 0u, high_scales), &mine, from_lane);
            if PARTS > 1u {
                add_part(&tile, packet_of(low, 1u, low_scales), packet_of(high, 1u, high_scales), &mine, from_lane + 2u);
            }
            if PARTS > 2u {
                add_part(&tile, packet_of(low, 2u, low_scales), packet_of(high, 2u, high_scales), &mine, from_lane + 4u);
                add_part(&tile, packet_of(low, 3u, low_scales), packet_of(high, 3u, high_scales), &mine, from_lane + 6u);
            }
        }
    }
    return tile;
}

// Adds what eight weights of each column make of two vec4s of x, which are in lanes from_lane and the next.
// Row after row is written out: as a loop some compilers do not unroll it, and keep the sums in memory then.
fn add_part(tile: ptr<function, Tile>, low: Packet, high: Packet, mine: ptr<function, array<vec4<f32>, 16>>, from_lane: u32) {
    (*tile).rows[0] = eight_terms((*tile).rows[0], low, high, (*mine)[0], from_lane);
    (*tile).rows[1] = eight_terms((*tile).rows[1], low, high, (*mine)[1], from_lane);
    (*tile).rows[2] = eight_terms((*tile).rows[2], low, high, (*mine)[2], from_lane);
    (*tile).rows[3] = eight_terms((*tile).rows[3], low, high, (*mine)[3], from_lane);
    (*tile).rows[4] = eight_terms((*tile).rows[4], low, high, (*mine)[4], from_lane);
    (*tile).rows[5] = eight_terms((*tile).rows[5], low, high, (*mine)[5], from_lane);
    (*tile).rows[6] = eight_terms((*tile).rows[6], low, high, (*mine)[6], from_lane);
    (*tile).rows[7] = eight_terms((*tile).rows[7], low, high, (*mine)[7], from_lane);
    if ROW_TILE > 8u {
        (*tile).rows[8] = eight_terms((*tile).rows[8], low, high, (*mine)[8], from_lane);
        (*tile).rows[9] = eight_terms((*tile).rows[9], low, high, (*mine)[9], from_lane);
        (*tile).rows[10] = eight_terms((*tile).rows[10], low, high, (*mine)[10], from_lane);
        (*tile).rows[11] = eight_terms((*tile).rows[11], low, high, (*mine)[11], from_lane);
        (*tile).rows[12] = eight_terms((*tile).rows[12], low, high, (*mine)[12], from_lane);
        (*tile).rows[13] = eight_terms((*tile).rows[13], low, high, (*mine)[13], from_lane);
        (*tile).rows[14] = eight_terms((*tile).rows[14], low, high, (*mine)[14], from_lane);
        (*tile).rows[15] = eight_terms((*tile).rows[15], low, high, (*mine)[15], from_lane);
    }
}

// A row's sums with eight more terms for each column.
fn eight_terms(sums: Sums, low: Packet, high: Packet, mine: vec4<f32>, from_lane: u32) -> Sums {
    let a = subgroupShuffle(mine, from_lane);
    let b = subgroupShuffle(mine, from_lane + 1u);
    return Sums(
        four_terms(four_terms(sums.low, low.first, a), low.second, b),
        four_terms(four_terms(sums.high, high.first, a), high.second, b),
    );
}
