// Chooses a token for each row of logits x[row, :], as sampling_inputs[row] asks.
//
// temperature 0: the largest logit. Otherwise a token drawn by weight = exp((x - largest) / temperature) among those that
// top-k, then top-p, then min-p leave. Larger logits come first, of equal ones the lower index; NaN never comes.
// out[row] = (index of the token, its natural log-probability under softmax(x[row, :])); a row that has no softmax, because
// of a NaN or an infinity above all others, has NaN for it.
//
// x      [num_rows, width]
// sampling_inputs  [num_rows]
// out    [num_rows, 2]: a u32, and the bits of an f32
//
// Nothing is sorted. What top-k and top-p leave are the first tokens in that order: all above some logit, and the first
// few of those equal to it. Halving the bits of an f32, in order, finds that logit; here eight ways at once, in at most 11 rounds.
// The draw then goes through what is left in order of index.
// One workgroup per row.   Twin: src/backend/cpu/sample.rs   Test: tests/kernels/sample.rs

override WORKGROUP_SIZE: u32 = 256u;
const LOWEST = -3.4028234e38;
const NAN = 0x7fc00000u;

struct Params {
    num_rows: u32,
    width: u32,
}

struct SamplingInput {
    temperature: f32,
    top_k: u32,
    top_p: f32,
    min_p: f32,
    random: f32,
}

// The first tokens in order: those whose place is above `place`, and the first `ties` of those that are equal to it.
struct Cut {
    place: u32,
    ties: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> sampling_inputs: array<SamplingInput>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

var<workgroup> values: array<f32, WORKGROUP_SIZE>;
var<workgroup> indices: array<u32, WORKGROUP_SIZE>;
var<workgroup> drawn: u32;
var<workgroup> low_masses: array<vec4<f32>, WORKGROUP_SIZE>;
var<workgroup> high_masses: array<vec4<f32>, WORKGROUP_SIZE>;

// A number that orders as its value does: the same for equal values, 0 for NaN and only for it.
fn place_of(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    let place = select(0u - bits, bits | 0x80000000u, bits < 0x80000000u);
    return select(place, 0u, (bits & 0x7fffffffu) > 0x7f800000u);
}

fn value_at(place: u32) -> f32 {
    return bitcast<f32>(select(0u - place, place & 0x7fffffffu, place >= 0x80000000u));
}

fn weight_of(value: f32, largest: f32, input: SamplingInput) -> f32 {
    return exp((value - largest) / input.temperature);
}

// The weight of a token that may be drawn, else 0. `ties`: tokens before it that are where the cut is.
fn weight_left(value: f32, ties: u32, largest: f32, input: SamplingInput, cut: Cut) -> f32 {
    let place = place_of(value);
    let first = place > cut.place || (place == cut.place && ties < cut.ties);
    let weight = weight_of(value, largest, input);
    return select(0.0, weight, first && weight >= input.min_p);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup.y * num_workgroups.x + workgroup.x;
    if row >= p.num_rows {
        return;
    }
    let begin = row * p.width;
    let input = sampling_inputs[row];

    let largest_idx = argmax(lane, begin);
    let largest = workgroupUniformLoad(&values[0]);

    var chosen = largest_idx;
    if input.temperature > 0.0 {
        var cut = Cut(0u, 0u);
        if input.top_k < p.width {
            cut = cut_at(lane, begin, largest, input, false, cut);
        }
        if input.top_p < 1.0 {
            cut = cut_at(lane, begin, largest, input, true, cut);
        }
        chosen = pick(lane, begin, largest, input, cut, largest_idx);
    }

    var sum = 0.0;
    var has_softmax = 1u;
    for (var i = lane; i < p.width; i += WORKGROUP_SIZE) {
        sum += exp(x[begin + i] - largest);
        has_softmax &= select(1u, 0u, is_nan_or_infinity(x[begin + i]));
    }
    values[lane] = sum;
    indices[lane] = has_softmax;
    workgroupBarrier();
    for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
        if lane < half {
            values[lane] += values[lane + half];
            indices[lane] &= indices[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        let logprob = bitcast<u32>(x[begin + chosen] - largest - log(values[0]));
        out[2u * row] = chosen;
        // The largest counts 1 of the sum, unless there is none.
        out[2u * row + 1u] = select(NAN, logprob, indices[0] == 1u && values[0] > 0.5);
    }
}

// By its bits: a compiler may take it for granted that numbers are finite.
fn is_nan_or_infinity(value: f32) -> bool {
    let bits = bitcast<u32>(value);
    return (bits & 0x7f800000u) == 0x7f800000u && bits != 0xff800000u; // -infinity is a token that is never drawn
}

// The index of the largest logit, which is left in values[0].
fn argmax(lane: u32, begin: u32) -> u32 {
    var best = LOWEST;
    var best_idx = p.width;
    for (var i = lane; i < p.width; i += WORKGROUP_SIZE) {
        if x[begin + i] > best {
            best = x[begin + i];
            best_idx = i;
        }
    }
    values[lane] = best;
    indices[lane] = best_idx;
    workgroupBarrier();
    for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
        if lane < half {
            let other = values[lane + half];
            let other_idx = indices[lane + half];
            if other > values[lane] || (other == values[lane] && other_idx < indices[lane]) {
                values[lane] = other;
                indices[lane] = other_idx;
            }
        }
        workgroupBarrier();
    }
    return indices[0] % p.width; // no thread found a number: width becomes 0
}

// Cuts what `before` leaves: to as few tokens as together have enough mass. For top-k each has a mass of 1 and k is
// enough; for top-p its weight, and enough is that part of all.
fn cut_at(lane: u32, begin: u32, largest: f32, input: SamplingInput, top_p: bool, before: Cut) -> Cut {
    var enough = f32(input.top_k);
    var place = before.place; // the tokens from here on have enough
    var above = 0.0; // the mass of those that are certain not to have: above what is still searched
    var mass = 1.0;
    // Eight steps reach from `place` to the largest; the next steps are an eighth of these, the last are 1.
    let first_step = 1u << (max(firstLeadingBit((place_of(largest) - place) | 1u), 2u) - 2u);
    var step = first_step;
    loop {
        let low = place + min(step * vec4(0u, 1u, 2u, 3u), vec4(~place));
        let high = place + min(step * vec4(4u, 5u, 6u, 7u), vec4(~place));
        var low_mass = vec4(0.0);
        var high_mass = vec4(0.0);
        if lane == 0u && before.ties > 0u {
            let of_ties = f32(before.ties) * weight_of(value_at(before.place), largest, input);
            low_mass = select(vec4(0.0), vec4(of_ties), vec4(before.place) >= low);
            high_mass = select(vec4(0.0), vec4(of_ties), vec4(before.place) >= high);
        }
        for (var i = lane; i < p.width; i += WORKGROUP_SIZE) {
            let value = x[begin + i];
            let own_place = place_of(value);
            if own_place > before.place {
                var own_mass = 1.0;
                if top_p {
                    own_mass = weight_of(value, largest, input);
                }
                low_mass += select(vec4(0.0), vec4(own_mass), vec4(own_place) >= low);
                high_mass += select(vec4(0.0), vec4(own_mass), vec4(own_place) >= high);
            }
        }
        low_masses[lane] = low_mass;
        high_masses[lane] = high_mass;
        workgroupBarrier();
        for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
            if lane < half {
                low_masses[lane] += low_masses[lane + half];
                high_masses[lane] += high_masses[lane + half];
            }
            workgroupBarrier();
        }
        low_mass = workgroupUniformLoad(&low_masses[0]);
        high_mass = workgroupUniformLoad(&high_masses[0]);

        if top_p && step == first_step {
            enough = max(input.top_p * low_mass.x, 1e-30);
        }
        if low_mass.x < enough {
            return before; // less than enough altogether
        }
        // Masses fall from low.x to high.w, so those that are enough come first.
        let num_enough = dot(select(vec4(0.0), vec4(1.0), low_mass >= vec4(enough)), vec4(1.0))
            + dot(select(vec4(0.0), vec4(1.0), high_mass >= vec4(enough)), vec4(1.0));
        place += step * (u32(num_enough) - 1u);
        let too_few = max(
            select(vec4(0.0), low_mass, low_mass < vec4(enough)),
            select(vec4(0.0), high_mass, high_mass < vec4(enough)),
        );
        above = max(above, max(max(too_few.x, too_few.y), max(too_few.z, too_few.w)));
        let at_least = min(
            select(vec4(low_mass.x), low_mass, low_mass >= vec4(enough)),
            select(vec4(low_mass.x), high_mass, high_mass >= vec4(enough)),
        );
        let with_place = min(min(at_least.x, at_least.y), min(at_least.z, at_least.w));
        // Each token from `place` to what is above has this mass or more: if it is not there twice, there is one token.
        mass = 1.0;
        if top_p {
            mass = max(weight_of(value_at(place), largest, input), 1e-30);
        }
        if with_place - above < 1.5 * mass && place > before.place {
            return Cut(place - 1u, 0u);
        }
        if step == 1u {
            break;
        }
        step = max(step / 8u, 1u);
    }
    let ties = u32(clamp(ceil((enough - above) / mass), 1.0, f32(p.width)));
    return Cut(place, select(ties, min(ties, before.ties), place == before.place));
}

// Draws by weight from what the cut and min-p leave. Each thread has a stretch of the row, so that the order of threads
// is that of indices.
fn pick(lane: u32, begin: u32, largest: f32, input: SamplingInput, cut: Cut, largest_idx: u32) -> u32 {
    let stretch = (p.width + WORKGROUP_SIZE - 1u) / WORKGROUP_SIZE;
    let first = min(lane * stretch, p.width);
    let end = min(first + stretch, p.width);

    var ties = 0u;
    for (var i = first; i < end; i++) {
        ties += select(0u, 1u, place_of(x[begin + i]) == cut.place);
    }
    indices[lane] = ties;
    workgroupBarrier();
    var ties_before = 0u;
    for (var other = 0u; other < lane; other++) {
        ties_before += indices[other];
    }

    ties = ties_before;
    var sum = 0.0;
    for (var i = first; i < end; i++) {
        let value = x[begin + i];
        sum += weight_left(value, ties, largest, input, cut);
        ties += select(0u, 1u, place_of(value) == cut.place);
    }
    values[lane] = sum;
    if lane == 0u {
        drawn = largest_idx;
    }
    workgroupBarrier();
    // All threads add in the same order, so that one's sum ends where the next one's begins.
    var before = 0.0;
    for (var other = 0u; other < lane; other++) {
        before += values[other];
    }
    let after = before + values[lane];
    var total = after;
    for (var other = lane + 1u; other < WORKGROUP_SIZE; other++) {
        total += values[other];
    }
    let wanted = input.random * total;

    // Rounding may leave a hair above the last token: then it is the last.
    if before <= wanted && before < after && (wanted < after || after == total) {
        ties = ties_before;
        sum = 0.0;
        for (var i = first; i < end && before + sum <= wanted; i++) {
            let value = x[begin + i];
            let weight = weight_left(value, ties, largest, input, cut);
            if weight > 0.0 {
                sum += weight;
                drawn = i;
            }
            ties += select(0u, 1u, place_of(value) == cut.place);
        }
    }
    workgroupBarrier();
    return drawn;
}
