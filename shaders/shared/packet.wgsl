// What the fast versions of a linear read of weights: eight of each of four columns, which are two pairs of neighbours.
// A column of the output is a row of the weight. ROWS_TOGETHER rows lie together, as pairs:
//
//   16 bytes of rows 0 and 1, 16 of rows 2 and 3, …   the next 16 bytes of rows 0 and 1, …   then rows 8 to 15 in the same way
//
// `p` and WEIGHT_TYPE are the kernel's; low_pair, high_pair, low_scales and high_scales read its buffers: weight_pairs.wgsl or
// gate_and_up_pairs.wgsl.

const PAIRS_TOGETHER = 4u;

// Element i of `first` has what the four columns multiply element i of a vec4 of x with, `second` the same of the next.
struct Packet {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

// 16 bytes of each of the four columns, as they were read; of f32 the next 16 bytes, too.
struct Fetched {
    low: Pair,
    high: Pair,
    more_low: Pair,
    more_high: Pair,
}

// Those that go with vec4 k of x. `begin` is where the pairs of columns begin: begin_of.
fn fetched(begin: vec2<u32>, k: u32) -> Fetched {
    let at = begin + packets_before(k) * PAIRS_TOGETHER;
    var packets: Fetched;
    packets.low = low_pair(at.x);
    packets.high = high_pair(at.y);
    if WEIGHT_TYPE == 0u {
        packets.more_low = low_pair(at.x + PAIRS_TOGETHER);
        packets.more_high = high_pair(at.y + PAIRS_TOGETHER);
    }
    return packets;
}

// Pairs are counted from the first of the weight.
fn begin_of(pairs: vec2<u32>) -> vec2<u32> {
    return place_of(pairs, packets_before(p.in_features / 4u), 0u);
}

// What the four columns' weights that go with vec4s k to k + 8 of x are multiplied by.
fn scales_at(pairs: vec2<u32>, k: u32) -> vec4<f32> {
    if WEIGHT_TYPE < 3u {
        return vec4(1.0);
    }
    let at = place_of(pairs, p.in_features / 32u, k / 8u);
    return vec4(two_scales(low_scales(at.x)), two_scales(high_scales(at.y)));
}

fn packet_of(packets: Fetched, part: u32, scales: vec4<f32>) -> Packet {
    let a = eight_weights(first_of(packets.low), first_of(packets.more_low), part);
    let b = eight_weights(second_of(packets.low), second_of(packets.more_low), part);
    let c = eight_weights(first_of(packets.high), first_of(packets.more_high), part);
    let d = eight_weights(second_of(packets.high), second_of(packets.more_high), part);
    let first = transpose(mat4x4(a[0], b[0], c[0], d[0]));
    let second = transpose(mat4x4(a[1], b[1], c[1], d[1]));
    if WEIGHT_TYPE < 3u {
        return Packet(first, second);
    }
    return Packet(scaled(first, scales), scaled(second, scales));
}

fn scaled(w: mat4x4<f32>, scales: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(w[0] * scales, w[1] * scales, w[2] * scales, w[3] * scales);
}

// Where the i-th of the `count` things lies that each row has, for pairs of rows.
fn place_of(pairs: vec2<u32>, count: u32, i: u32) -> vec2<u32> {
    return (pairs / PAIRS_TOGETHER * count + i) * PAIRS_TOGETHER + pairs % PAIRS_TOGETHER;
}

// 16 bytes of weights that a row has for so many vec4s of x.
fn packets_before(k: u32) -> u32 {
    return select(k / (2u * PARTS), k, WEIGHT_TYPE == 0u);
}
