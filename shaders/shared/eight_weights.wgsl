// Eights of weights in 16 bytes: int8 has 2, int4 has 4.
override PARTS: u32 = 1u + WEIGHT_TYPE / 3u + 2u * (WEIGHT_TYPE / 4u);

// Eight neighbouring weights of a row, from the 16 bytes that hold them. f32 takes `more`, the next 16 bytes, too; of
// int8 and int4 there are PARTS eights in 16 bytes, and the result is yet to be scaled.
// WEIGHT_TYPE is the kernel's: 0: f32, 1: f16, 2: bf16, 3: int8, 4: int4.
fn eight_weights(words: vec4<u32>, more: vec4<u32>, part: u32) -> mat2x4<f32> {
    if WEIGHT_TYPE == 0u {
        return mat2x4(bitcast<vec4<f32>>(words), bitcast<vec4<f32>>(more));
    }
    if WEIGHT_TYPE == 3u {
        let bytes = select(words.xy, words.zw, part == 1u);
        return mat2x4(four_bytes(bytes.x), four_bytes(bytes.y));
    }
    if WEIGHT_TYPE == 4u {
        return mat2x4(four_nibbles(words[part]), four_nibbles(words[part] >> 16u));
    }
    return mat2x4(four_halves(words.xy), four_halves(words.zw));
}

// Four weights from two words of halves, the first in the low bits.
fn four_halves(words: vec2<u32>) -> vec4<f32> {
    if WEIGHT_TYPE == 1u {
        return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
    }
    let even = bitcast<vec2<f32>>(words << vec2(16u));
    let odd = bitcast<vec2<f32>>(words & vec2(0xffff0000u));
    return vec4(even.x, odd.x, even.y, odd.y);
}

// Four signed bytes of a word, the first in the low bits.
fn four_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(vec4(word) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
}

// Four signed half bytes from the low half of a word, the first in the low bits.
fn four_nibbles(word: u32) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(vec4(word) << vec4(28u, 24u, 20u, 16u)) >> vec4(28u));
}

// The scales of two rows, bf16 each, the first in the low bits.
fn two_scales(word: u32) -> vec2<f32> {
    return bitcast<vec2<f32>>(vec2(word << 16u, word & 0xffff0000u));
}
