//! A prompt in two chunks, where the second sees only itself.

use super::workbench::{Fault, NO_FAULT, RED_BOAT, Workbench, limits};
use super::{Bug, Exhibit, Outcome, Shown};
use cb_lab::EngineConfig;
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::StepPlan;
use cb_lab::engine::sampler::SampledToken;

pub const EXHIBIT: Exhibit = Exhibit {
    name: "second-chunk",
    title: "The second chunk of a prompt does not see the first",
    story: "The Python cb-lab computed a chunk as if it were a whole prompt: attention over the chunk's own tokens, and \
            the KV cache was only written. nano-vllm had a similar bug at a chunk's edge. With one layer no output \
            can tell: K and V of the first layer come from the embeddings alone.",
    unit: ["token of prompt", "tokens of prompt"],
    sizes: &[1, 2, 3, 4, 5, 6, 7],
    also: Some(7),
    caught_by: &[("observe", "chunks_leave_the_same_kv_as_one_piece"), ("engine", "layers"), ("engine", "grid")],
    run,
};

/// Each sequence of a later chunk is told that nothing came before it, and its table begins at the chunk. Its tokens are
/// stored where they belong, and have their right positions. With blocks of one token every chunk begins a block.
fn forget_what_came_before(plan: &StepPlan, _: &Scheduler, batch: &mut RaggedBatch) {
    let mut block_table = Vec::new();
    let mut offsets = vec![0];
    for (seq_idx, row) in plan.rows.iter().enumerate() {
        block_table.extend_from_slice(&batch.blocks(seq_idx)[row.context_len..]);
        offsets.push(block_table.len() as u32);
    }
    (batch.block_table, batch.block_table_offsets) = (block_table, offsets);
    batch.context_lens.fill(0);
}

fn run(prompt_len: usize, bug: Bug) -> Outcome<Shown> {
    let fault: Fault = bug.choose(NO_FAULT, &forget_what_came_before);
    let (_, expected, _) = prefill(prompt_len, prompt_len, NO_FAULT)?;
    let (right, right_kv, bench) = prefill(prompt_len, prompt_len.div_ceil(2), NO_FAULT)?;
    let (wrong, wrong_kv, _) = prefill(prompt_len, prompt_len.div_ceil(2), fault)?;
    let mut rows = Vec::new();
    let mut complaint = None;
    let is_harmed = wrong.token_id != right.token_id;
    for (layer, expected) in expected.iter().enumerate() {
        let difference = largest_difference(&wrong_kv[layer], expected);
        if difference > 0.0 && complaint.is_none() {
            complaint = Some(format!("K and V of layer {layer} differ from those of the prompt in one piece"));
        }
        let without = largest_difference(&right_kv[layer], expected);
        rows.push([format!("K, V of layer {layer}: off by"), format!("{without:.1e}"), format!("{difference:.1e}")]);
    }
    rows.push(["next token".into(), bench.show(&right)?, bench.show(&wrong)?]);
    Ok(Shown { rows, complaint, is_harmed })
}

/// The next token, and K and V of each layer for the last chunk.
fn prefill(
    prompt_len: usize,
    chunk: usize,
    fault: Fault<'static>,
) -> Outcome<(SampledToken, Vec<Vec<f32>>, Workbench<'static>)> {
    let mut bench = Workbench::new(EngineConfig { prefill_chunk_size: chunk, ..limits(1, 16) })?;
    let id = bench.submit(bench.beginning(RED_BOAT, prompt_len)?, 1)?;
    bench.run(fault)?;
    let layers = 0..bench.engine.model().num_layers();
    let kv = layers.map(|layer| Ok(bench.kv_of_rows(layer)?.concat())).collect::<Outcome<_>>()?;
    Ok((bench.sampled_tokens(id)[0], kv, bench))
}

/// Between K and V of the last rows of a prompt, and of the whole.
fn largest_difference(last: &[f32], whole: &[f32]) -> f32 {
    let (halves, num_values) = (last.chunks(last.len() / 2).zip(whole.chunks(whole.len() / 2)), last.len() / 2);
    let pairs = halves.flat_map(|(last, whole)| last.iter().zip(&whole[whole.len() - num_values..]));
    pairs.map(|(value, reference)| (value - reference).abs()).fold(0.0, f32::max)
}
