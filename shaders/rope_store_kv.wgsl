// What stands between a layer's Q, K and V and its attention. Of each head x of a row of qkv:
//   Q, K  y = x * norm / sqrt(mean(x^2) + eps), where heads are normed; else y = x
//         (a, b) = (y[i], y[i + head_dim/2])  becomes  (a * cos - b * sin, b * cos + a * sin)
//   Q     goes to q
//   K, V  go to their slot of the pools,  block * block_size + offset = slot_mapping[row]
//
// table           [max_model_len, head_dim]: the cosines of a position's head_dim/2 angles, then the sines
// norms           [2, head_dim]: the norm's weights for Q, then for K
// qkv             [num_tokens, num_heads + 2 * num_kv_heads, head_dim]: the heads of Q, then of K, then of V
// q               [num_tokens, num_heads, head_dim]
// k_pool, v_pool  [num_blocks, num_kv_heads, block_size, head_dim]
//
// The pools hold f32, or halves, two in a word: rounded to the nearest, and what is beyond 65504 becomes that.
//
// One thread per four pairs; a workgroup takes as many whole heads as it has threads for.
// Twin: src/backend/cpu/rope_store_kv.rs   Test: tests/kernels/rope_store_kv.rs

override WORKGROUP_SIZE: u32 = 64u;
override KV_TYPE: u32 = 0u; // 0: f32, 1: f16

struct Params {
    num_tokens: u32,
    num_heads: u32,
    num_kv_heads: u32,
    head_dim: u32,
    block_size: u32,
    positions_offset: u32,
    slot_mapping_offset: u32,
    has_norms: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> norms: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> q: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> k_pool: array<vec2<u32>>;
@group(0) @binding(7) var<storage, read_write> v_pool: array<vec2<u32>>;

var<workgroup> squares: array<f32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let half = p.head_dim / 8u; // vec4s of half a head, and threads of a head
    let heads_together = WORKGROUP_SIZE / half;
    let heads_of_row = p.num_heads + 2u * p.num_kv_heads;
    let num_heads = p.num_tokens * heads_of_row;
    let head = (workgroup.y * num_workgroups.x + workgroup.x) * heads_together + lane / half;
    let is_mine = lane / half < heads_together && head < num_heads;

    // Threads without a head read the last one.
    let pair = lane % half;
    let first = min(head, num_heads - 1u) * 2u * half + pair;
    var a = qkv[first];
    var b = qkv[first + half];
    squares[lane] = dot(a, a) + dot(b, b);
    workgroupBarrier();
    if !is_mine {
        return;
    }

    let row = head / heads_of_row;
    let head_of_row = head % heads_of_row;
    let is_query = head_of_row < p.num_heads;
    let is_value = head_of_row >= p.num_heads + p.num_kv_heads;
    if !is_value {
        if p.has_norms != 0u {
            var sum = 0.0;
            for (var i = 0u; i < half; i++) {
                sum += squares[lane - pair + i];
            }
            let inverse = 1.0 / sqrt(sum / f32(p.head_dim) + p.eps);
            let weights = select(2u * half, 0u, is_query) + pair;
            a = a * inverse * norms[weights];
            b = b * inverse * norms[weights + half];
        }
        let angles = step[p.positions_offset + row] * 2u * half + pair;
        let cosine = table[angles];
        let sine = table[angles + half];
        let turned = a * cosine - b * sine;
        b = b * cosine + a * sine;
        a = turned;
    }

    if is_query {
        let at = (row * p.num_heads + head_of_row) * 2u * half + pair;
        q[at] = a;
        q[at + half] = b;
        return;
    }
    let kv_head = (head_of_row - p.num_heads) % p.num_kv_heads;
    let slot = step[p.slot_mapping_offset + row];
    let block = slot / p.block_size;
    let offset = slot % p.block_size;
    let at = ((block * p.num_kv_heads + kv_head) * p.block_size + offset) * 2u * half + pair;
    if KV_TYPE == 1u {
        store(is_value, at, halves(a));
        store(is_value, at + half, halves(b));
        return;
    }
    let first_words = bitcast<vec4<u32>>(a);
    let second_words = bitcast<vec4<u32>>(b);
    store(is_value, 2u * at, first_words.xy);
    store(is_value, 2u * at + 1u, first_words.zw);
    store(is_value, 2u * (at + half), second_words.xy);
    store(is_value, 2u * (at + half) + 1u, second_words.zw);
}

fn store(is_value: bool, at: u32, words: vec2<u32>) {
    if is_value {
        v_pool[at] = words;
    } else {
        k_pool[at] = words;
    }
}

// Four halves in two words, the nearest and, of two that are as near, the even one: the built-in function may round
// otherwise.
fn halves(x: vec4<f32>) -> vec2<u32> {
    let sign = (bitcast<vec4<u32>>(x) >> vec4(16u)) & vec4(0x8000u);
    let size = bitcast<vec4<u32>>(x) & vec4(0x7fffffffu);
    let finite = min(size, vec4(0x477fe000u)); // 65504
    let to_even = (finite >> vec4(13u)) & vec4(1u);
    let normal = (finite + vec4(0xfffu) + to_even - vec4(0x38000000u)) >> vec4(13u);
    let subnormal = vec4<u32>(round(bitcast<vec4<f32>>(finite) * 16777216.0)); // multiples of 2^-24
    let number = select(normal, subnormal, finite < vec4(0x38800000u)); // 2^-14
    let bits = sign | select(number, vec4(0x7e00u), size > vec4(0x7f800000u)); // a NaN stays one
    return bits.xz | (bits.yw << vec2(16u));
}
