// In place of pair.wgsl, where four_u64.wgsl stands in place of four.wgsl.
alias Pair = vec4<u64>;

fn first_of(pair: Pair) -> vec4<u32> {
    return words_of(pair.xy);
}

fn second_of(pair: Pair) -> vec4<u32> {
    return words_of(pair.zw);
}
