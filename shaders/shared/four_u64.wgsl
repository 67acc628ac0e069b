// In place of four.wgsl where a driver loads word by word: half as many words, of 64 bits.
alias Four = vec2<u64>;
alias FourHalves = u64;

fn floats_of(four: Four) -> vec4<f32> {
    return bitcast<vec4<f32>>(words_of(four));
}

fn halves_of(four: FourHalves) -> vec4<f32> {
    return vec4(unpack2x16float(u32(four & 0xfffffffflu)), unpack2x16float(u32(four >> 32u)));
}

fn words_of(words: vec2<u64>) -> vec4<u32> {
    let low = vec2<u32>(words & vec2(0xfffffffflu));
    let high = vec2<u32>(words >> vec2(32u));
    return vec4(low.x, high.x, low.y, high.y);
}
