// A thread's tile of ROW_TILE rows by eight columns: every weight it reads serves ROW_TILE rows, every vec4 of x eight
// columns. `p` and ROW_TILE are the kernel's; own_x and x_at are in x_plain.wgsl or x_shuffled.wgsl.

// A row's sums of four columns, and of four others.
struct Sums {
    low: vec4<f32>,
    high: vec4<f32>,
}

struct Tile {
    rows: array<Sums, 16>,
}

// Eight vec4s of x of each row.
struct Eights {
    at: array<u32, 16>, // where they begin
    own: array<vec4<f32>, 16>, // of each eight, what own_x has
}

// Columns: two pairs of `low`, two of `high`. `lane` is this thread's place in its subgroup.
fn tile_of(first_row: u32, low_pairs: vec2<u32>, high_pairs: vec2<u32>, lane: u32) -> Tile {
    let width = p.in_features / 4u;
    let low_begin = begin_of(low_pairs);
    let high_begin = begin_of(high_pairs);
    var tile: Tile;
    var x: Eights;
    for (var k = 0u; k < width; k += 8u) {
        for (var i = 0u; i < ROW_TILE; i++) {
            // Rows past the end are the last one again, and are not written.
            x.at[i] = min(first_row + i, p.num_rows - 1u) * width + k;
            x.own[i] = own_x(x.at[i], lane);
        }
        let low_scales = scales_at(low_pairs, k);
        let high_scales = scales_at(high_pairs, k);
        for (var next = 0u; next < 8u; next += 2u * PARTS) {
            let low = fetched(low_begin, k + next);
            let high = fetched(high_begin, k + next);
            add_part(&tile, packet_of(low, 0u, low_scales), packet_of(high, 0u, high_scales), &x, next, lane);
            if PARTS > 1u {
                add_part(&tile, packet_of(low, 1u, low_scales), packet_of(high, 1u, high_scales), &x, next + 2u, lane);
            }
            if PARTS > 2u {
                add_part(&tile, packet_of(low, 2u, low_scales), packet_of(high, 2u, high_scales), &x, next + 4u, lane);
                add_part(&tile, packet_of(low, 3u, low_scales), packet_of(high, 3u, high_scales), &x, next + 6u, lane);
            }
        }
    }
    return tile;
}

// Adds what eight weights of each column make of two vec4s of x: the i-th of the eight, and the next.
// Row after row is written out: as a loop some compilers do not unroll it, and keep the sums in memory then.
fn add_part(tile: ptr<function, Tile>, low: Packet, high: Packet, x: ptr<function, Eights>, i: u32, lane: u32) {
    (*tile).rows[0] = eight_terms((*tile).rows[0], low, high, (*x).at[0], (*x).own[0], i, lane);
    (*tile).rows[1] = eight_terms((*tile).rows[1], low, high, (*x).at[1], (*x).own[1], i, lane);
    (*tile).rows[2] = eight_terms((*tile).rows[2], low, high, (*x).at[2], (*x).own[2], i, lane);
    (*tile).rows[3] = eight_terms((*tile).rows[3], low, high, (*x).at[3], (*x).own[3], i, lane);
    (*tile).rows[4] = eight_terms((*tile).rows[4], low, high, (*x).at[4], (*x).own[4], i, lane);
    (*tile).rows[5] = eight_terms((*tile).rows[5], low, high, (*x).at[5], (*x).own[5], i, lane);
    (*tile).rows[6] = eight_terms((*tile).rows[6], low, high, (*x).at[6], (*x).own[6], i, lane);
    (*tile).rows[7] = eight_terms((*tile).rows[7], low, high, (*x).at[7], (*x).own[7], i, lane);
    if ROW_TILE > 8u {
        (*tile).rows[8] = eight_terms((*tile).rows[8], low, high, (*x).at[8], (*x).own[8], i, lane);
        (*tile).rows[9] = eight_terms((*tile).rows[9], low, high, (*x).at[9], (*x).own[9], i, lane);
        (*tile).rows[10] = eight_terms((*tile).rows[10], low, high, (*x).at[10], (*x).own[10], i, lane);
        (*tile).rows[11] = eight_terms((*tile).rows[11], low, high, (*x).at[11], (*x).own[11], i, lane);
        (*tile).rows[12] = eight_terms((*tile).rows[12], low, high, (*x).at[12], (*x).own[12], i, lane);
        (*tile).rows[13] = eight_terms((*tile).rows[13], low, high, (*x).at[13], (*x).own[13], i, lane);
        (*tile).rows[14] = eight_terms((*tile).rows[14], low, high, (*x).at[14], (*x).own[14], i, lane);
        (*tile).rows[15] = eight_terms((*tile).rows[15], low, high, (*x).at[15], (*x).own[15], i, lane);
    }
}

// A row's sums with eight more terms for each column.
fn eight_terms(sums: Sums, low: Packet, high: Packet, at: u32, own: vec4<f32>, i: u32, lane: u32) -> Sums {
    let a = x_at(at, i, own, lane);
    let b = x_at(at, i + 1u, own, lane);
    return Sums(
        four_terms(four_terms(sums.low, low.first, a), low.second, b),
        four_terms(four_terms(sums.high, high.first, a), high.second, b),
    );
}
