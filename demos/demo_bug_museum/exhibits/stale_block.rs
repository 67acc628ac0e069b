//! A cache of prompts remembers a block without holding it, and the block goes to somebody else.

use super::workbench::{NO_FAULT, Workbench, limits};
use super::{Bug, Exhibit, Outcome, Shown};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::StepPlan;
use std::cell::Cell;

const BLOCK_SIZE: usize = 4;
const NUM_KV_BLOCKS: usize = 5;

pub const EXHIBIT: Exhibit = Exhibit {
    name: "stale-block",
    title: "A cached block is reused after it was freed",
    story: "A prefix cache notes which block holds which prompt. If it takes no reference of its own, the block is freed \
            with its request, and the note lives on. llama.cpp's server restored the cache of another conversation \
            once. While the pool has fresh blocks the old contents are still there and all looks well; that is why \
            this bug passes small tests.",
    unit: ["request in between", "requests in between"],
    sizes: &[0, 1, 2, 3, 4, 5],
    also: Some(3),
    caught_by: &[("properties", "every_operation_leaves_the_scheduler_sound"), ("engine", "poison")],
    run,
};

/// Request 0 leaves a block behind. Others come and go, one stays. Then the prompt of request 0 comes again.
fn run(num_between: usize, bug: Bug) -> Outcome<Shown> {
    let (right, _) = serve(num_between, Bug::Out)?;
    let (wrong, complaint) = serve(num_between, bug)?;
    let is_harmed = right != wrong;
    let rows = vec![["answer to the same prompt".into(), right, wrong]];
    Ok(Shown { rows, complaint, is_harmed })
}

fn serve(num_between: usize, bug: Bug) -> Outcome<(String, Option<String>)> {
    let mut bench = Workbench::new(limits(BLOCK_SIZE, NUM_KV_BLOCKS))?;
    let story = bench.story(40)?;
    let prompt = &story[..BLOCK_SIZE];
    bench.submit(prompt.to_vec(), 1)?;
    bench.step(NO_FAULT)?;
    // The note, and no reference.
    let cached_block = bench.engine.runner().device.batch().blocks(0)[0];
    for nth in 0..num_between {
        bench.submit(story[10 + nth..][..BLOCK_SIZE].to_vec(), 1)?;
        bench.run(NO_FAULT)?;
    }
    bench.submit(story[30..][..BLOCK_SIZE].to_vec(), 4)?;
    bench.step(NO_FAULT)?;
    let hit = bench.submit(prompt.to_vec(), 4)?;

    let complaint = Cell::new(None);
    let use_the_note = |plan: &StepPlan, scheduler: &Scheduler, batch: &mut RaggedBatch| {
        for (seq_idx, row) in plan.rows.iter().enumerate() {
            if row.id == hit && bug == Bug::In {
                let first = batch.block_table_offsets[seq_idx] as usize;
                batch.block_table[first] = cached_block;
            }
            let read = batch.blocks(seq_idx);
            let held = scheduler.sequence(row.seq_idx).block_table().blocks();
            let foreign = read.iter().find(|&&block| !held.iter().any(|held| held.0 == block));
            if let Some(&block) = foreign {
                let owner =
                    scheduler.running().find(|other| other.block_table().blocks().iter().any(|held| held.0 == block));
                let owner = owner.map_or("nobody holds".into(), |owner| format!("request {} holds", owner.id()));
                complaint.set(complaint.take().or(Some(format!(
                    "request {}, with the prompt of request 0, reads block {block}, which {owner}",
                    row.id
                ))));
            }
        }
    };
    bench.run(&use_the_note)?;
    Ok((bench.text(hit)?, complaint.take()))
}
