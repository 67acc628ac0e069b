// Four neighbouring elements of K, and of V. KV_TYPE and the pools, which stand twice, are the kernel's.
fn key_at(at: u32) -> vec4<f32> {
    if KV_TYPE == 0u {
        return k_pool[at];
    }
    let halves = k_halves[at];
    return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}

fn value_at(at: u32) -> vec4<f32> {
    if KV_TYPE == 0u {
        return v_pool[at];
    }
    let halves = v_halves[at];
    return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}
