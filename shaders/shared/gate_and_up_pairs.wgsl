// Pairs of gate, and of up, for packet.wgsl.
fn low_pair(at: u32) -> Pair {
    return gate[at];
}

fn high_pair(at: u32) -> Pair {
    return up[at];
}

fn low_scales(at: u32) -> u32 {
    return gate_scales[at];
}

fn high_scales(at: u32) -> u32 {
    return up_scales[at];
}
