// Four sums with four more terms each, one after the other. All versions of a kernel add in this one way, so that a row's
// result does not depend on how many rows there are.
fn four_terms(sums: vec4<f32>, w: mat4x4<f32>, x: vec4<f32>) -> vec4<f32> {
    return fma(w[3], vec4(x.w), fma(w[2], vec4(x.z), fma(w[1], vec4(x.y), fma(w[0], vec4(x.x), sums))));
}
