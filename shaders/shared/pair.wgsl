// What the fast versions of a linear read at once: of x four neighbours, and of a weight 16 bytes of each of two neighbouring
// rows, which lie side by side.
alias Four = vec4<f32>;

struct Pair {
    first: vec4<u32>,
    second: vec4<u32>,
}

fn floats_of(four: Four) -> vec4<f32> {
    return four;
}

fn first_of(pair: Pair) -> vec4<u32> {
    return pair.first;
}

fn second_of(pair: Pair) -> vec4<u32> {
    return pair.second;
}
