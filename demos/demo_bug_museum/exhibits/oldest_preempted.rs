//! Memory runs out, and the oldest request pays for it.

use super::workbench::limits;
use super::{Bug, Exhibit, Outcome, Shown};
use cb_lab::RequestId;
use cb_lab::core::request::{Request, SamplingParams};
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{Event, StepPlan};
use cb_lab::core::timestamp::Timestamp;
use std::collections::BTreeMap;

const PROMPT_LEN: usize = 4;
const NUM_TOKENS: usize = 9;
/// Steps between two arrivals.
const ARRIVAL_GAP: usize = 2;

pub const EXHIBIT: Exhibit = Exhibit {
    name: "oldest",
    title: "The oldest request is preempted for younger ones",
    story: "mistral.rs and candle-vllm sorted by arrival, reversed the list, and took the victim from the wrong end. A \
            newcomer then takes the memory of whoever has waited longest, whose work is lost. Here the scheduler is \
            the right one; it is given ids that count down, so that the newest looks oldest. So the queue is turned \
            round, too: whoever has lost its blocks waits behind all who came later.",
    unit: ["request that comes later", "requests that come later"],
    sizes: &[1, 2, 3, 4, 5, 6, 7, 8],
    also: Some(8),
    caught_by: &[
        ("properties", "the_youngest_is_preempted_and_computed_again"),
        ("properties", "every_operation_leaves_the_scheduler_sound"),
    ],
    run,
};

fn run(num_later: usize, bug: Bug) -> Outcome<Shown> {
    let (right, _) = serve(num_later, RequestId)?;
    let (wrong, complaint) = match bug {
        Bug::Out => serve(num_later, RequestId)?,
        Bug::In => serve(num_later, |arrival| RequestId(1_000 - arrival))?,
    };
    let is_harmed = right != wrong;
    let rows = right.iter().zip(&wrong).enumerate();
    let rows = rows.map(|(arrival, (right, wrong))| {
        let what = if arrival == 0 { "the first to come".into() } else { format!("number {}", arrival + 1) };
        [what, right.clone(), wrong.clone()]
    });
    Ok(Shown { rows: rows.collect(), complaint, is_harmed })
}

/// What became of each request, in the order they came, and the first preemption that is unjust.
fn serve(num_later: usize, id_of: fn(u64) -> RequestId) -> Outcome<(Vec<String>, Option<String>)> {
    let mut scheduler = Scheduler::new(limits(4, 5))?;
    let arrival_of: BTreeMap<RequestId, u64> =
        (0..=num_later as u64).map(|arrival| (id_of(arrival), arrival)).collect();
    let mut finished = vec![0; arrival_of.len()];
    let mut num_preempted = vec![0; arrival_of.len()];
    let mut complaint = None;
    let mut step = 0;
    while step < ARRIVAL_GAP * num_later || !scheduler.is_idle() {
        if step % ARRIVAL_GAP == 0 && step / ARRIVAL_GAP <= num_later {
            let params = SamplingParams { max_new_tokens: NUM_TOKENS, ..Default::default() };
            let id = id_of((step / ARRIVAL_GAP) as u64);
            scheduler.submit(Request { id, prompt_token_ids: vec![7; PROMPT_LEN], params })?;
        }
        let plan = scheduler.schedule(Timestamp::ZERO);
        step += 1;
        complaint = complaint.or(unjust(&plan, &arrival_of, step));
        for preemption in &plan.preempted {
            num_preempted[arrival_of[&preemption.victim] as usize] += 1;
        }
        for event in scheduler.commit(&plan, &vec![9; plan.num_samples()]) {
            if let Event::Finished { id, .. } = event {
                finished[arrival_of[&id] as usize] = step;
            }
        }
    }
    let told = finished.iter().zip(num_preempted).enumerate().map(|(arrival, (finished, preempted))| {
        let waited = finished - ARRIVAL_GAP * arrival;
        format!(
            "{waited} steps{}",
            ["", ", preempted once", ", preempted twice"]
                .get(preempted)
                .map_or_else(|| format!(", preempted {preempted} times"), |often| (*often).to_string())
        )
    });
    Ok((told.collect(), complaint))
}

/// Nobody is preempted for one who came later.
fn unjust(plan: &StepPlan, arrival_of: &BTreeMap<RequestId, u64>, step: usize) -> Option<String> {
    let pairs = plan.preempted.iter().filter_map(|preemption| Some((preemption.victim, preemption.needer?)));
    let mut arrivals = pairs.map(|(victim, needer)| (arrival_of[&victim], arrival_of[&needer]));
    let (victim, needer) = arrivals.find(|(victim, needer)| victim < needer)?;
    let (victim, needer) = (victim + 1, needer + 1);
    Some(format!("in step {step} number {victim} is preempted for number {needer}, which came later"))
}
