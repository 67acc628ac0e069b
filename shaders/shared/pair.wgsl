// What the fast versions of a linear read of a weight at once: 16 bytes of each of two neighbouring rows, which lie side by
// side.
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
