//! A preempted sequence comes back, and its blocks are counted for one token too few.

use super::workbench::{Fault, NO_FAULT, RED_BOAT, Workbench, limits};
use super::{Bug, Exhibit, Outcome, Shown};
use cb_lab::RequestId;
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{Event, StepPlan};

const BLOCK_SIZE: usize = 4;
/// Enough for either request, and too little for both.
const TIGHT: usize = 6;

pub const EXHIBIT: Exhibit = Exhibit {
    name: "block-edge",
    title: "After a preemption the length is one short, at a block's edge",
    story: "A sequence that is computed again has its prompt and what it had generated. nano-vllm counted without the \
            last sampled token. That is harmless until the token is the first of a block: then the table ends one \
            block early, and the kernel reads what is next in memory. Here that is block 0, with which such tables \
            are padded.",
    unit: ["token in the prompt of the preempted request", "tokens in the prompt of the preempted request"],
    sizes: &[1, 2, 3, 4, 5, 6, 7, 8],
    also: None,
    caught_by: &[
        ("properties", "every_operation_leaves_the_scheduler_sound"),
        ("engine", "grid"),
        ("properties", "limits_and_batch_mates_change_no_token"),
    ],
    run,
};

/// The table of a sequence that is computed again, as if its last token did not count.
fn count_one_short(plan: &StepPlan, scheduler: &Scheduler, batch: &mut RaggedBatch) {
    for (seq_idx, row) in plan.rows.iter().enumerate() {
        let is_computed_again = row.context_len == 0 && !scheduler.sequence(row.seq_idx).output_token_ids().is_empty();
        if is_computed_again {
            let first = batch.block_table_offsets[seq_idx] as usize;
            let end = batch.block_table_offsets[seq_idx + 1] as usize;
            let counted = (row.seq_len() - 1).div_ceil(BLOCK_SIZE);
            batch.block_table[first + counted..end].fill(0);
        }
    }
}

fn run(prompt_len: usize, bug: Bug) -> Outcome<Shown> {
    let fault: Fault = bug.choose(NO_FAULT, &count_one_short);
    let ((alone, _), (right, when), (wrong, _)) = (
        generate(prompt_len, 64, NO_FAULT)?,
        generate(prompt_len, TIGHT, NO_FAULT)?,
        generate(prompt_len, TIGHT, fault)?,
    );
    let id = RequestId(1);
    let rows =
        vec![["preempted with".into(), when.clone(), when], ["generated".into(), right.text(id)?, wrong.text(id)?]];
    let differs = alone
        .sampled_tokens(id)
        .iter()
        .zip(wrong.sampled_tokens(id))
        .position(|(alone, wrong)| alone.token_id != wrong.token_id);
    let complaint = differs.map(|nth| format!("token {} is not what a pool with memory for all gives", nth + 1));
    let is_harmed = complaint.is_some();
    Ok(Shown { rows, complaint, is_harmed })
}

/// Two requests, of which the younger is preempted in a tight pool. Returns at how many tokens.
fn generate(prompt_len: usize, num_kv_blocks: usize, fault: Fault<'static>) -> Outcome<(Workbench<'static>, String)> {
    let mut bench = Workbench::new(limits(BLOCK_SIZE, num_kv_blocks))?;
    bench.submit(bench.story(8)?, 8)?;
    let younger = bench.submit(bench.beginning(RED_BOAT, prompt_len)?, 12)?;
    let mut when = String::from("never");
    while !bench.engine.scheduler().is_idle() {
        let events = bench.step(fault)?;
        if events.iter().any(|event| matches!(event, Event::Preempted { id, .. } if *id == younger))
            && let Some(sequence) = bench.engine.scheduler().get(younger)
        {
            when = format!("{} tokens", sequence.num_tokens());
        }
    }
    Ok((bench, when))
}
