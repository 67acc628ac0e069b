//! A decode whose token does not attend to itself.

use super::workbench::{Fault, NO_FAULT, Workbench, limits};
use super::{Bug, Exhibit, Outcome, Shown};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::StepPlan;

/// Tokens to generate.
const NUM_TOKENS: usize = 6;

pub const EXHIBIT: Exhibit = Exhibit {
    name: "own-token",
    title: "A decode does not see its own token",
    story: "The Python cb-lab attended over the cache and appended the new K and V afterwards: a token saw all but \
            itself. In a kernel it is `<` where `<=` belongs.",
    unit: ["token of prompt", "tokens of prompt"],
    sizes: &[1, 2, 3, 4],
    also: None,
    caught_by: &[("kernels", "blind to itself"), ("engine", "layers"), ("engine", "golden")],
    run,
};

/// One token less to attend to. It is stored where it belongs, but nobody reads it in this step.
fn forget_own_token(plan: &StepPlan, _: &Scheduler, batch: &mut RaggedBatch) {
    for (seq_idx, row) in plan.rows.iter().enumerate() {
        if row.query_len == 1 && row.context_len > 0 {
            batch.context_lens[seq_idx] -= 1;
        }
    }
}

fn run(prompt_len: usize, bug: Bug) -> Outcome<Shown> {
    let fault: Fault = bug.choose(NO_FAULT, &forget_own_token);
    let generate = |fault| {
        let mut bench = Workbench::new(limits(4, 16))?;
        let id = bench.submit(bench.story(prompt_len)?, NUM_TOKENS)?;
        bench.run(fault)?;
        Ok::<_, Box<dyn std::error::Error>>((bench, id))
    };
    let ((right, id), (wrong, _)) = (generate(NO_FAULT)?, generate(fault)?);
    let mut rows = Vec::new();
    let mut complaint = None;
    let mut is_harmed = false;
    for (nth, (a, b)) in right.sampled_tokens(id).iter().zip(wrong.sampled_tokens(id)).enumerate() {
        rows.push([format!("token {}", nth + 1), right.show(a)?, wrong.show(b)?]);
        is_harmed |= a.token_id != b.token_id;
        // The tokens so far as a prompt: the same question to another path through the model.
        let mut fresh = Workbench::new(limits(4, 16))?;
        let output = wrong.sampled_tokens(id)[..nth].iter().map(|sampled_token| sampled_token.token_id);
        let again = fresh.submit(fresh.story(prompt_len)?.into_iter().chain(output).collect(), 1)?;
        fresh.run(NO_FAULT)?;
        let as_prompt = fresh.sampled_tokens(again)[0];
        if as_prompt != *b && complaint.is_none() {
            let as_prompt = fresh.show(&as_prompt)?;
            complaint = Some(format!("token {} is {as_prompt} when those before it are a prompt", nth + 1));
        }
    }
    Ok(Shown { rows, complaint, is_harmed })
}
