// Eight neighbouring weights of a row, from the 16 bytes that hold them; f32 takes `more`, the next 16 bytes, too.
// WEIGHT_TYPE is the kernel's: 0: f32, 1: f16, 2: bf16.
fn eight_weights(words: vec4<u32>, more: vec4<u32>) -> mat2x4<f32> {
    if WEIGHT_TYPE == 0u {
        return mat2x4(bitcast<vec4<f32>>(words), bitcast<vec4<f32>>(more));
    }
    return mat2x4(four_halves(words.xy), four_halves(words.zw));
}
