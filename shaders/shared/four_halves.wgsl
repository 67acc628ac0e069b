// Four weights from two words of halves, the first in the low bits. WEIGHT_TYPE is the kernel's: 1: f16, 2: bf16.
fn four_halves(words: vec2<u32>) -> vec4<f32> {
    if WEIGHT_TYPE == 1u {
        return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
    }
    let even = bitcast<vec2<f32>>(words << vec2(16u));
    let odd = bitcast<vec2<f32>>(words & vec2(0xffff0000u));
    return vec4(even.x, odd.x, even.y, odd.y);
}
