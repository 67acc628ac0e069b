//! Probabilities clamped after the softmax: what the mask hid comes back.

use super::workbench::{NO_FAULT, Workbench, limits};
use super::{Bug, Exhibit, Outcome, Shown};
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::core::ragged_mask::RaggedMask;
use pollster::block_on;

/// Tokens of the request that is looked at.
const OWN: usize = 4;
/// The lower bound that was meant to help against division by zero.
const EPS: f64 = 1e-6;

pub const EXHIBIT: Exhibit = Exhibit {
    name: "clamp",
    title: "Probabilities are clamped after the softmax",
    story: "The Python cb-lab computed `softmax(scores + mask).clamp(1e-6, 1)`, and its interview answers praised it as \
            numerical stability. A masked token has probability 0, and the clamp makes it a millionth: every request \
            reads a little of every other one, the more the fuller the batch. What helps is the maximum taken off \
            before exp.",
    unit: ["token of the other request", "tokens of the other request"],
    sizes: &[1, 100, 400],
    also: Some(400),
    caught_by: &[("kernels", "twin against f64")],
    run,
};

/// `softmax` of the visible scores, 0 for the others: as it should be, or with the clamp.
fn softmax(scores: &[Option<f64>], bug: Bug) -> Vec<f64> {
    let max = scores.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| score.map_or(0.0, |score| (score - max).exp())).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).map(|p| bug.choose(p, p.clamp(EPS, 1.0))).collect()
}

/// Attention of the last row of request 0, written as the Python original did: over all rows of the ragged batch, with
/// a mask. Queries, keys and values are those of the model's last layer.
fn run(num_others: usize, bug: Bug) -> Outcome<Shown> {
    let mut bench = Workbench::new(limits(1, 512))?;
    let story = bench.story(OWN + num_others)?;
    bench.submit(story[..OWN].to_vec(), 2)?;
    bench.submit(story[OWN..].to_vec(), 2)?;
    bench.step(NO_FAULT)?;

    let model = bench.engine.model();
    let (head_dim, kv_width, q_width) =
        (model.head_dim, model.num_kv_heads * model.head_dim, model.num_heads * model.head_dim);
    let [k, v] = bench.kv_of_rows(model.num_layers() - 1)?;
    let queries = block_on(
        CpuBackend::default().download(bench.engine.runner().device.decoder().last_attention().0, OWN * q_width),
    )?;
    let query: &[f32] = &bytemuck::cast_slice(&queries)[(OWN - 1) * q_width..][..head_dim];
    let mask = RaggedMask::new(bench.engine.runner().device.batch());
    let scores: Vec<Option<f64>> = k
        .chunks_exact(kv_width)
        .enumerate()
        .map(|(row, k)| {
            let product: f64 = query.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
            mask.attends(OWN - 1, row).then_some(product / (head_dim as f64).sqrt())
        })
        .collect();

    let (right, wrong) = (softmax(&scores, Bug::Out), softmax(&scores, bug));
    let on_other = |weights: &[f64]| weights[OWN..].iter().sum::<f64>();
    let attended = |weights: &[f64]| -> f64 {
        weights.iter().zip(v.chunks_exact(kv_width)).map(|(weight, v)| weight * f64::from(v[0])).sum()
    };
    let row = |what: &str, of: &dyn Fn(&[f64]) -> f64| {
        [what.to_string(), format!("{:.6}", of(&right)), format!("{:.6}", of(&wrong))]
    };
    let rows = vec![
        row("sum of its probabilities", &|weights| weights.iter().sum()),
        row("of which on the other request", &on_other),
        row("first number of its output", &attended),
    ];
    let complaint = (on_other(&wrong) > 0.0).then(|| "request 0 reads a request that its mask hides".to_string());
    Ok(Shown { rows, complaint, is_harmed: attended(&right) != attended(&wrong) })
}
