// In place of pair.wgsl where a driver loads word by word: half as many words, of 64 bits.
alias Four = vec2<u64>;
alias Pair = vec4<u64>;

fn floats_of(four: Four) -> vec4<f32> {
    return bitcast<vec4<f32>>(words_of(four));
}

fn first_of(pair: Pair) -> vec4<u32> {
    return words_of(pair.xy);
}

fn second_of(pair: Pair) -> vec4<u32> {
    return words_of(pair.zw);
}

fn words_of(longs: vec2<u64>) -> vec4<u32> {
    let low = vec2<u32>(longs & vec2(0xfffffffflu));
    let high = vec2<u32>(longs >> vec2(32u));
    return vec4(low.x, high.x, low.y, high.y);
}
