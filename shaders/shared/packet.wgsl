// Eight weights of each of four columns: those that go with one vec4 of x, and with the next. Element i of `first` has what
// the four columns multiply element i of that vec4 with.
struct Packet {
    first: mat4x4<f32>,
    second: mat4x4<f32>,
}

fn packet_of(a: mat2x4<f32>, b: mat2x4<f32>, c: mat2x4<f32>, d: mat2x4<f32>) -> Packet {
    return Packet(transpose(mat4x4(a[0], b[0], c[0], d[0])), transpose(mat4x4(a[1], b[1], c[1], d[1])));
}

// Four sums with four more terms each, one after the other. All versions of a kernel add in this one way, so that a row's
// result does not depend on how many rows there are.
fn four_terms(sums: vec4<f32>, w: mat4x4<f32>, x: vec4<f32>) -> vec4<f32> {
    return fma(w[3], vec4(x.w), fma(w[2], vec4(x.z), fma(w[1], vec4(x.y), fma(w[0], vec4(x.x), sums))));
}

// Where rows begin in a matrix of which ROWS_TOGETHER lie together, counted in 16 bytes.
fn begin_of(rows: vec4<u32>) -> vec4<u32> {
    let packets = select(p.in_features / 8u, p.in_features / 4u, WEIGHT_TYPE == 0u);
    return rows / ROWS_TOGETHER * packets * ROWS_TOGETHER + rows % ROWS_TOGETHER;
}

// How far behind its row's begin the weights are that go with vec4s k and k + 1 of x; k is even.
fn packet_at(k: u32) -> u32 {
    return select(k / 2u, k, WEIGHT_TYPE == 0u) * ROWS_TOGETHER;
}
