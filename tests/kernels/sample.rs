//! `sample`: every way to choose, rows of all kinds in one call, up to a large vocabulary; ties, NaN, extremes.
//!
//! Twin and kernel add weights in different orders, so a draw, or what is enough for top-p, that falls on the edge between
//! two tokens may go to either. These cases keep clear of edges: each such number is moved to the middle between the two
//! edges it falls between, and these must be further apart than all rounding. So indices are compared exactly.

use crate::harness::*;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::params::{SampleParams, SamplingInput};
use cb_lab::backend::{Backend, cpu::CpuBackend};

#[derive(Clone, Copy, Debug)]
enum Logits {
    /// Any.
    Random,
    /// Five different values, so that every maximum is there often; zeros of both signs.
    Ties,
    /// All the same.
    Flat,
    /// All below -1e4.
    Low,
    /// A few of 1e4 among -1e4 and -1e30.
    Extreme,
    /// NaN first, last and in between.
    WithNan,
    /// Nothing but NaN: index 0 by convention.
    OnlyNan,
    /// One NaN, in the middle: the maximum is a number.
    OneNan,
    /// Infinity in one place.
    WithInf,
    /// A token that cannot be drawn, in every place but a few.
    WithMinusInf,
    /// No token can be drawn.
    OnlyMinusInf,
}

impl Logits {
    /// They have no softmax, and no token a probability.
    fn are_broken(self) -> bool {
        use Logits::*;
        matches!(self, WithNan | OnlyNan | OneNan | WithInf | OnlyMinusInf)
    }
}

struct Sample {
    width: usize,
    logits: Logits,
    /// Called for each of these rows, in this order.
    rows: fn() -> Vec<SamplingInput>,
    max_workgroups: Option<u32>,
}

const GREEDY: SamplingInput = SamplingInput { temperature: 0.0, top_k: u32::MAX, top_p: 1.0, min_p: 0.0, random: 0.5 };
const PLAIN: SamplingInput = SamplingInput { temperature: 1.0, ..GREEDY };
const USUAL: Sample = Sample { width: 300, logits: Logits::Random, rows: all_kinds, max_workgroups: None };

/// Each option alone, at its ends and amid; then all at once. Greedy rows first, between and last.
fn all_kinds() -> Vec<SamplingInput> {
    let randoms = [0.0, 1e-7, 0.3, 0.7, 1.0 - 1e-7, 1.0].map(|random| SamplingInput { random, ..PLAIN });
    let top_ks = [1, 2, 5, 40, 299, 300, 301, 1 << 31].map(|top_k| SamplingInput { top_k, ..PLAIN });
    let top_ps = [1e-9, 0.2, 0.5, 0.9, 0.97].map(|top_p| SamplingInput { top_p, ..PLAIN });
    let min_ps = [1e-3, 0.2, 1.0].map(|min_p| SamplingInput { min_p, ..PLAIN });
    let hot = [0.2, 0.5, 0.9].map(|random| SamplingInput { temperature: 1e6, top_k: 150, random, ..PLAIN });
    let cold = [1e-4, 1e-30].map(|temperature| SamplingInput { temperature, ..PLAIN });
    let of_one = SamplingInput { top_k: 1, top_p: 0.5, random: 0.9, ..PLAIN };
    let all = SamplingInput { temperature: 2.0, top_k: 50, top_p: 0.8, min_p: 0.05, random: 0.6 };
    let many = [&randoms[..], &[GREEDY], &top_ks, &top_ps, &min_ps, &hot, &cold, &[of_one]].concat();
    [
        &[GREEDY],
        &many[..],
        &[all, SamplingInput { random: 0.1, ..all }, SamplingInput { temperature: 0.8, ..all }, GREEDY],
    ]
    .concat()
}

/// What a wide row can be asked without any token's part being as small as the rounding.
fn of_a_wide_row() -> Vec<SamplingInput> {
    let sharp = SamplingInput { temperature: 0.05, ..GREEDY };
    let top_ks = [1, 64, 1000].map(|top_k| SamplingInput { temperature: 1.0, top_k, random: 0.9, ..GREEDY });
    [
        &[GREEDY, sharp, SamplingInput { top_p: 0.8, ..sharp }, SamplingInput { min_p: 0.01, random: 0.2, ..sharp }],
        &top_ks[..],
    ]
    .concat()
}

pub fn cases() -> Cases {
    use Logits::*;
    let kinds = [Ties, Flat, Low, Extreme, WithNan, OnlyNan].map(|logits| Sample { logits, ..USUAL });
    let greedy = || vec![GREEDY; 3];
    let infinite = [OneNan, WithInf, WithMinusInf, OnlyMinusInf].map(|logits| Sample { logits, rows: greedy, ..USUAL });
    let widths = [1, 2, 3, 255, 256, 257, 700].map(|width| Sample { width, ..USUAL });
    let wide = [32_000, 151_936, 200_003].map(|width| Sample { width, rows: of_a_wide_row, ..USUAL });
    let wide_ties =
        Sample { width: 32_000, logits: Logits::Ties, rows: || vec![SamplingInput { top_k: 40, ..PLAIN }], ..USUAL };
    let grid = Sample { max_workgroups: Some(4), ..USUAL };
    boxed([USUAL, grid].into_iter().chain(kinds).chain(infinite).chain(widths).chain(wide).chain([wide_ties]))
}

/// A token that a draw may choose, in order of index.
struct Candidate {
    idx: usize,
    weight: f64,
}

impl Sample {
    fn row(&self, rng: &mut Rng) -> Vec<f32> {
        let wide = self.width > 1000;
        let mut value = |i: usize| match self.logits {
            Logits::Random => rng.f32(if wide { 30.0 } else { 3.0 }),
            Logits::Ties => [-1.1, -0.0, 0.0, 1.3, 1.7][rng.below(5)],
            Logits::Flat => -2.5,
            Logits::Low => rng.f32(3.0) - 1e4,
            Logits::Extreme => [-1e30, -1e4, 1e4 - i as f32 / 128.0][(rng.below(20) + 10) / 15],
            Logits::WithNan if i.is_multiple_of(7) || (i + 1).is_multiple_of(self.width) => f32::NAN,
            Logits::WithNan => rng.f32(3.0),
            Logits::OnlyNan => f32::NAN,
            Logits::OneNan if i == self.width / 2 => f32::NAN,
            Logits::WithInf if i == self.width / 2 => f32::INFINITY,
            Logits::OneNan | Logits::WithInf => rng.f32(3.0),
            Logits::WithMinusInf if i % 100 == 17 => rng.f32(3.0),
            Logits::WithMinusInf | Logits::OnlyMinusInf => f32::NEG_INFINITY,
        };
        (0..self.width).map(&mut value).collect()
    }

    /// The part of all weight by which sums may be off, and no edge may be nearer. Weights: exp of a number down to -20 is
    /// off by up to 43 ulp, and the number by 2 roundings of 20. A thread adds width / 256 of them, then 256 or 8 more
    /// additions join the threads; and all that for a sum and for what it is compared with.
    fn rounding(&self) -> f64 {
        2.0 * (86.0 + 40.0 + self.width as f64 / 256.0 + 256.0) * ROUNDING
    }

    /// The draws with their numbers moved away from edges, and the token that each is bound to choose.
    fn sampling_inputs(&self, rows: &[Vec<f32>]) -> Vec<(SamplingInput, usize)> {
        (self.rows)().into_iter().zip(rows).map(|(input, logits)| self.clear_of_edges(input, logits)).collect()
    }

    /// By definition: whoever has fewer than k ahead, and then less than enough weight ahead, and then enough itself.
    fn clear_of_edges(&self, mut input: SamplingInput, logits: &[f32]) -> (SamplingInput, usize) {
        let mut order: Vec<usize> = (0..logits.len()).filter(|&i| !logits[i].is_nan()).collect();
        // Stable: of equal ones the lower index stays first.
        order.sort_by(|&a, &b| logits[b].partial_cmp(&logits[a]).expect("no NaN is left"));
        let Some(&first) = order.first() else { return (input, 0) };
        if input.temperature == 0.0 {
            return (input, first);
        }
        let weight =
            |idx: usize| ((f64::from(logits[idx]) - f64::from(logits[first])) / f64::from(input.temperature)).exp();
        order.truncate(input.top_k as usize);
        let mut kept: Vec<Candidate> = order.into_iter().map(|idx| Candidate { idx, weight: weight(idx) }).collect();
        if input.top_p < 1.0 {
            let at = self.amid(&kept, &mut input.top_p);
            kept.truncate(at + 1);
        }
        // Halfway, in its logarithm, between the lightest that is kept and the heaviest that is not.
        let num_kept = kept.iter().filter(|candidate| candidate.weight >= f64::from(input.min_p)).count();
        if let Some(light) = kept.get(num_kept) {
            let heavy = kept[num_kept - 1].weight;
            assert!(light.weight < heavy * (1.0 - self.rounding()), "min-p would fall between equal weights");
            input.min_p = (heavy * light.weight.max(1e-20)).sqrt() as f32;
            kept.truncate(num_kept);
        }
        kept.sort_by_key(|candidate| candidate.idx);
        // The ends are their own cases: the first token that weighs anything, and the last.
        if input.random <= 0.0 || input.random >= 1.0 {
            let heavy = |candidate: &&Candidate| candidate.weight > 1e-30;
            let end = if input.random <= 0.0 { kept.iter().find(heavy) } else { kept.iter().rfind(heavy) };
            return (input, end.expect("the first of the order weighs 1").idx);
        }
        let at = self.amid(&kept, &mut input.random);
        (input, kept[at].idx)
    }

    /// Where a part of all weight falls; moves it to the middle of that candidate, or of the next one that is wide enough.
    fn amid(&self, candidates: &[Candidate], part: &mut f32) -> usize {
        let total: f64 = candidates.iter().map(|candidate| candidate.weight).sum();
        let mut before = 0.0;
        for (at, candidate) in candidates.iter().enumerate() {
            let after = before + candidate.weight / total;
            let wide_enough = (after - before) / 2.0 > self.rounding();
            if after > f64::from(*part) && wide_enough {
                *part = ((before + after) / 2.0) as f32;
                return at;
            }
            before = after;
        }
        // It is further on than any that is wide enough: then the last of those.
        let last = candidates.iter().rposition(|candidate| candidate.weight / total / 2.0 > self.rounding());
        let last = last.expect("a token is wider than the rounding");
        let before: f64 = candidates[..last].iter().map(|candidate| candidate.weight).sum();
        *part = ((before + candidates[last].weight / 2.0) / total) as f32;
        last
    }

    fn inputs(&self) -> (Vec<Vec<f32>>, Vec<(SamplingInput, usize)>) {
        let mut rng = Rng::new(&self.name());
        let rows: Vec<Vec<f32>> = (self.rows)().iter().map(|_| self.row(&mut rng)).collect();
        let sampling_inputs = self.sampling_inputs(&rows);
        (rows, sampling_inputs)
    }
}

impl Case for Sample {
    fn name(&self) -> String {
        let grid = self.max_workgroups.map_or(String::new(), |most| format!(",max_workgroups={most}"));
        let rows = (self.rows)().len();
        format!("rows={rows},width={},{:?}{grid}", self.width, self.logits).to_lowercase()
    }

    /// Of the log-probability; the index is exact. A thread adds width / 256 positive terms in a row, 8 more additions
    /// join the threads; exp of a number down to -20 is off by up to 43 ulp, log by 3. The log turns the relative error
    /// of the sum into an absolute one. The logit is rounded once when the largest is taken off.
    fn tolerance(&self) -> Tolerance {
        let roundings = self.width as f64 / 256.0 + 8.0 + 2.0 * (43.0 + 3.0);
        Tolerance { atol: roundings * ROUNDING, rtol: 4.0 * ROUNDING }
    }

    fn options(&self) -> GpuOptions {
        GpuOptions { max_workgroups: self.max_workgroups, ..GpuOptions::default() }
    }

    fn run<B: Backend>(&self, lab: &mut Lab<B>) -> cb_lab::Result<Vec<Output>> {
        let (rows, sampling_inputs) = self.inputs();
        let sampling_inputs: Vec<SamplingInput> = sampling_inputs.into_iter().map(|(input, _)| input).collect();
        let [indices, logprobs] =
            sample(lab, self.width, &rows.concat(), &sampling_inputs)?.split_pairs(["index", "logprob"]);
        if !self.logits.are_broken() {
            return Ok(vec![indices, logprobs]);
        }
        // Where there is no probability, every NaN is the same.
        let is_nan = logprobs.words.iter().map(|&word| u32::from(f32::from_bits(word).is_nan())).collect();
        Ok(vec![indices, logprobs.with_words(is_nan).exact()])
    }

    const HAS_ORACLE: bool = true;

    fn oracle(&self) -> Vec<Vec<f64>> {
        let (rows, sampling_inputs) = self.inputs();
        let logprob = |(logits, &(_, idx)): (&Vec<f32>, &(SamplingInput, usize))| {
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = logits.iter().map(|&x| (f64::from(x) - f64::from(max)).exp()).sum();
            f64::from(logits[idx]) - f64::from(max) - sum.ln()
        };
        vec![
            sampling_inputs.iter().map(|&(_, idx)| idx as f64).collect(),
            match self.logits.are_broken() {
                true => vec![1.0; rows.len()],
                false => rows.iter().zip(&sampling_inputs).map(logprob).collect(),
            },
        ]
    }
}

fn sample<B: Backend>(
    lab: &mut Lab<B>,
    width: usize,
    x: &[f32],
    sampling_inputs: &[SamplingInput],
) -> cb_lab::Result<Output> {
    let x = lab.input(x)?;
    let words: &[u32] = bytemuck::cast_slice(sampling_inputs);
    let sampling_inputs = lab.words(words)?;
    let num_rows = words.len() / SamplingInput::WORDS;
    let mut out = lab.output(2 * num_rows)?;
    lab.0.sample(SampleParams { num_rows: num_rows as u32, width: width as u32 }, &x, &sampling_inputs, &mut out);
    lab.read("out", &out, 2 * num_rows)
}

/// Draws at even distances choose each token as often as its probability says, to one draw.
pub fn draws_follow_the_probabilities(gpu: &crate::gpu::Gpu) -> Result<(), String> {
    counts_are_right(&mut open(gpu, GpuOptions::default()).map_err(|failure| failure.to_string())?)
}

pub fn cpu_trials() -> Vec<libtest_mimic::Trial> {
    let name = "sample/draws follow the probabilities [cpu]";
    vec![libtest_mimic::Trial::test(name, || Ok(counts_are_right(&mut Lab(CpuBackend::default()))?))]
}

fn counts_are_right<B: Backend>(lab: &mut Lab<B>) -> Result<(), String> {
    const DRAWS: usize = 4000;
    let logits = Rng::new("counts").f32s(37, 2.0);
    let temperature = 1.5;
    let input = |i: usize| SamplingInput { temperature, random: (i as f32 + 0.5) / DRAWS as f32, ..GREEDY };
    let sampling_inputs: Vec<SamplingInput> = (0..DRAWS).map(input).collect();
    let x = logits.repeat(DRAWS);
    let words = sample(lab, logits.len(), &x, &sampling_inputs).map_err(|error| error.to_string())?.words;
    let weights: Vec<f64> = logits.iter().map(|&logit| f64::from(logit / temperature).exp()).collect();
    for (idx, weight) in weights.iter().enumerate() {
        let count = words.iter().step_by(2).filter(|&&word| word == idx as u32).count();
        let expected = DRAWS as f64 * weight / weights.iter().sum::<f64>();
        // Of evenly spaced points an interval holds its length, to the point at either end.
        if (count as f64 - expected).abs() > 1.01 {
            return Err(format!("token {idx} was drawn {count} times, {expected} expected"));
        }
    }
    Ok(())
}
