// Pairs of the one weight, for packet.wgsl.
fn low_pair(at: u32) -> Pair {
    return weight[at];
}

fn high_pair(at: u32) -> Pair {
    return weight[at];
}

fn low_scales(at: u32) -> u32 {
    return scales[at];
}

fn high_scales(at: u32) -> u32 {
    return scales[at];
}
