// The activation of SwiGLU: x / (1 + exp(-x)).
fn silu(x: f32) -> f32 {
    // exp(80) is finite, and 1 + exp(80) divides x away: WGSL promises nothing about infinities.
    return x / (1.0 + exp(min(-x, 80.0)));
}
