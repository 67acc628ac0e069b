// Four neighbouring elements of K, and of V. KV_TYPE and the pools, which stand twice, are the kernel's.
fn key_at(at: u32) -> vec4<f32> {
    if KV_TYPE == 0u {
        return floats_of(k_pool[at]);
    }
    return halves_of(k_halves[at]);
}

fn value_at(at: u32) -> vec4<f32> {
    if KV_TYPE == 0u {
        return floats_of(v_pool[at]);
    }
    return halves_of(v_halves[at]);
}
