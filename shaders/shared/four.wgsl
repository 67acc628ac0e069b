// Four neighbouring numbers as they are read at once, in f32 and in f16.
alias Four = vec4<f32>;
alias FourHalves = vec2<u32>;

fn floats_of(four: Four) -> vec4<f32> {
    return four;
}

fn halves_of(four: FourHalves) -> vec4<f32> {
    return vec4(unpack2x16float(four.x), unpack2x16float(four.y));
}
