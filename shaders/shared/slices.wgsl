// What the threads of a workgroup have of the sums of its 16 columns, of ROW_TILE rows: each has a slice of k, of four
// columns. `p`, WORKGROUP_SIZE, ROW_TILE and MAX_ROW_TILE are the kernel's.
//
//   thread      0           1           2           3         4           5
//   columns   0 1  8 9   2 3 10 11   4 5 12 13   6 7 14 15   0 1  8 9   2 3 10 11   …
//   k         [-------------- slice 0 ---------------)       [--- slice 1 ---

override SLICES: u32 = WORKGROUP_SIZE / PAIRS_TOGETHER;
override SLICES_LEN: u32 = ROW_TILE * COLUMNS * SLICES;
const COLUMNS = 16u;

var<workgroup> slices: array<f32, SLICES_LEN>; // [ROW_TILE][SLICES][COLUMNS]

// Neighbours take the eights of k in turns: slice 0 the first, slice 1 the next, and so on.
fn keep_slice(lane: u32, first_row: u32, pairs: vec2<u32>) {
    let slice = lane / PAIRS_TOGETHER;
    let sums = sums_of(first_row, pairs, slice, SLICES, 0u);
    for (var row = 0u; row < ROW_TILE; row++) {
        let at = (row * SLICES + slice) * COLUMNS + 2u * (lane % PAIRS_TOGETHER);
        slices[at] = sums[row].x;
        slices[at + 1u] = sums[row].y;
        slices[at + 8u] = sums[row].z;
        slices[at + 9u] = sums[row].w;
    }
    workgroupBarrier();
}

// Of all slices, in order.
fn sum_of_slices(row: u32, column: u32) -> f32 {
    var sum = 0.0;
    for (var slice = 0u; slice < SLICES; slice++) {
        sum += slices[(row * SLICES + slice) * COLUMNS + column];
    }
    return sum;
}
