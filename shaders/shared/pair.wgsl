// 16 bytes of each of two neighbouring rows of a weight, which lie side by side: what a thread reads at once.
struct Pair {
    first: vec4<u32>,
    second: vec4<u32>,
}

fn first_of(pair: Pair) -> vec4<u32> {
    return pair.first;
}

fn second_of(pair: Pair) -> vec4<u32> {
    return pair.second;
}
