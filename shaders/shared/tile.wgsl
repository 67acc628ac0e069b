// A thread's tile of ROW_TILE rows by eight columns: every weight it reads serves ROW_TILE rows, every vec4 of x eight
// columns. Eight neighbouring lanes of a subgroup each read another vec4 of x and hand it round.
// `x`, `p`, ROW_TILE and `packets`, which reads the weights, are the kernel's.

// A row's sums of four columns, and of four others.
struct Sums {
    low: vec4<f32>,
    high: vec4<f32>,
}

struct Tile {
    rows: array<Sums, 16>,
}

// Eight weights of each of the eight columns: element i has what four columns multiply element i of a vec4 of x with.
struct Packets {
    low: Packet,
    high: Packet,
}

// Row after row is written out: as a loop some compilers do not unroll it, and keep the sums in memory then.
fn tile_of(first_row: u32, w_low: vec4<u32>, w_high: vec4<u32>, lane_in_subgroup: u32) -> Tile {
    let width = p.in_features / 4u;
    let one_of_eight = lane_in_subgroup % 8u;
    let first_of_eight = lane_in_subgroup - one_of_eight;
    var tile: Tile;
    var mine: array<vec4<f32>, 16>; // this lane's one of the eight vec4s of x in work
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            // Rows past the end are the last one again, and are not written.
            mine[i] = x[min(first_row + i, p.num_rows - 1u) * width + k + one_of_eight];
        }
        for (var next = 0u; next < 8u; next += 2u) {
            let w = packets(w_low, w_high, k + next);
            let from_lane = first_of_eight + next;
            tile.rows[0] = eight_terms(tile.rows[0], w, mine[0], from_lane);
            tile.rows[1] = eight_terms(tile.rows[1], w, mine[1], from_lane);
            tile.rows[2] = eight_terms(tile.rows[2], w, mine[2], from_lane);
            tile.rows[3] = eight_terms(tile.rows[3], w, mine[3], from_lane);
            tile.rows[4] = eight_terms(tile.rows[4], w, mine[4], from_lane);
            tile.rows[5] = eight_terms(tile.rows[5], w, mine[5], from_lane);
            tile.rows[6] = eight_terms(tile.rows[6], w, mine[6], from_lane);
            tile.rows[7] = eight_terms(tile.rows[7], w, mine[7], from_lane);
            if ROW_TILE > 8u {
                tile.rows[8] = eight_terms(tile.rows[8], w, mine[8], from_lane);
                tile.rows[9] = eight_terms(tile.rows[9], w, mine[9], from_lane);
                tile.rows[10] = eight_terms(tile.rows[10], w, mine[10], from_lane);
                tile.rows[11] = eight_terms(tile.rows[11], w, mine[11], from_lane);
                tile.rows[12] = eight_terms(tile.rows[12], w, mine[12], from_lane);
                tile.rows[13] = eight_terms(tile.rows[13], w, mine[13], from_lane);
                tile.rows[14] = eight_terms(tile.rows[14], w, mine[14], from_lane);
                tile.rows[15] = eight_terms(tile.rows[15], w, mine[15], from_lane);
            }
        }
    }
    return tile;
}

// A row's sums with eight more terms for each column. The row's two vec4s of x are in lanes from_lane and the next.
fn eight_terms(sums: Sums, w: Packets, mine: vec4<f32>, from_lane: u32) -> Sums {
    let a = subgroupShuffle(mine, from_lane);
    let b = subgroupShuffle(mine, from_lane + 1u);
    return Sums(
        four_terms(four_terms(sums.low, w.low.first, a), w.low.second, b),
        four_terms(four_terms(sums.high, w.high.first, a), w.high.second, b),
    );
}

// Four columns, WORKGROUP_SIZE apart. Those past the end are the last one again, and are not written.
fn four_columns(first_n: u32) -> vec4<u32> {
    return min(vec4(first_n) + vec4(0u, 1u, 2u, 3u) * WORKGROUP_SIZE, vec4(p.num_out - 1u));
}
