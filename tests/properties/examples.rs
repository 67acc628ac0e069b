//! The scheduler by example. A plan is written as `id:context_len+query_len`, with a `*` where a token is sampled.

use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::ragged_mask::RaggedMask;
use cb_lab::core::request::{FinishReason, Request, SamplingParams};
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::skipped::all_skipped;
use cb_lab::core::step_plan::{AdmissionStop, Event, Preemption, StepPlan};
use cb_lab::core::timestamp::Timestamp;
use cb_lab::{EngineConfig, RequestId};

/// 8 tokens a step, prompts in chunks of 8, 16 blocks of 4.
fn limits() -> EngineConfig {
    EngineConfig {
        block_size: 4,
        num_kv_blocks: 16,
        max_tokens_per_step: 8,
        prefill_chunk_size: 8,
        max_num_seqs: 4,
        max_model_len: 64,
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    }
}

fn request(id: u64, prompt_len: usize, max_new_tokens: usize) -> Request {
    let params = SamplingParams { max_new_tokens, stop_token_ids: vec![2], ..SamplingParams::default() };
    Request { id: RequestId(id), prompt_token_ids: vec![7; prompt_len], params }
}

/// A scheduler with requests of these prompt lengths, numbered from 1, which want 20 tokens each.
fn scheduler(limits: EngineConfig, prompt_lens: &[usize]) -> Scheduler {
    let mut scheduler = Scheduler::new(limits).unwrap();
    for (id, &prompt_len) in (1..).zip(prompt_lens) {
        scheduler.submit(request(id, prompt_len, 20)).unwrap();
    }
    scheduler
}

fn show(plan: &StepPlan) -> String {
    let rows = plan
        .rows
        .iter()
        .map(|row| format!("{}:{}+{}{}", row.id, row.context_len, row.query_len, if row.samples { "*" } else { "" }));
    let victims = plan.preempted.iter().map(|preemption| format!("-{}", preemption.victim));
    rows.chain(victims).collect::<Vec<_>>().join(" ")
}

/// Does a step in which every sampled token is 9.
fn step(scheduler: &mut Scheduler) -> String {
    let plan = scheduler.schedule(Timestamp::ZERO);
    scheduler.commit(&plan, &vec![9; plan.num_samples()]);
    show(&plan)
}

fn check_steps(scheduler: &mut Scheduler, expected: &[&str]) {
    let steps: Vec<_> = expected.iter().map(|_| step(scheduler)).collect();
    assert_eq!(steps, expected);
}

#[test]
fn decodes_and_a_prompt_share_a_step() {
    let mut scheduler = scheduler(limits(), &[3, 10]);
    check_steps(&mut scheduler, &["1:0+3* 2:0+5", "1:3+1* 2:5+5*", "1:4+1* 2:10+1*"]);
}

#[test]
fn a_prompt_is_cut_into_chunks_and_only_the_last_samples() {
    let mut scheduler = scheduler(EngineConfig { prefill_chunk_size: 4, ..limits() }, &[10]);
    check_steps(&mut scheduler, &["1:0+4", "1:4+4", "1:8+2*", "1:10+1*"]);
}

#[test]
fn decodes_go_before_an_older_prompt() {
    let mut scheduler = scheduler(EngineConfig { prefill_chunk_size: 4, ..limits() }, &[12, 2]);
    check_steps(&mut scheduler, &["1:0+4 2:0+2*", "2:2+1* 1:4+4", "2:3+1* 1:8+4*", "1:12+1* 2:4+1*"]);
}

#[test]
fn no_more_run_than_the_budget_serves_in_every_step() {
    let mut scheduler = scheduler(EngineConfig { max_tokens_per_step: 2, ..limits() }, &[1, 1, 1]);
    check_steps(&mut scheduler, &["1:0+1* 2:0+1*", "1:1+1* 2:1+1*"]);
    assert!(scheduler.abort(RequestId(1)).is_some());
    check_steps(&mut scheduler, &["2:2+1* 3:0+1*", "2:3+1* 3:1+1*"]);
}

#[test]
fn the_first_in_the_queue_blocks_those_behind_it() {
    // Request 2 needs 15 blocks, and 1 of the 16 is taken. Request 3 would fit, but it came later.
    let mut scheduler = scheduler(limits(), &[4]);
    scheduler.submit(request(2, 57, 1)).unwrap();
    scheduler.submit(request(3, 1, 1)).unwrap();
    check_steps(&mut scheduler, &["1:0+4*", "1:4+1*"]);
    assert!(scheduler.abort(RequestId(1)).is_some());
    check_steps(&mut scheduler, &["2:0+8"]);
}

#[test]
fn a_decode_takes_a_block_only_at_a_block_edge() {
    let mut scheduler = scheduler(limits(), &[3]);
    let mut free_blocks = || {
        step(&mut scheduler);
        scheduler.num_free_blocks()
    };
    // The prompt fills 3 of 4 slots, the first decode the fourth, the next one begins a block.
    assert_eq!([free_blocks(), free_blocks(), free_blocks(), free_blocks()], [15, 15, 14, 14]);
}

#[test]
fn the_youngest_is_preempted_and_computed_again() {
    // Requests need up to 8 blocks in the end, and there are 8. One stays spare at admission: 3 + 3 + 1 + 1.
    let limits = EngineConfig { num_kv_blocks: 8, max_tokens_per_step: 32, prefill_chunk_size: 32, ..limits() };
    let mut scheduler = scheduler(limits, &[12, 11, 4]);
    check_steps(&mut scheduler, &["1:0+12* 2:0+11* 3:0+4*"]);
    // 1 takes the spare block. 2 has a slot left. 3 needs a block, and is itself the youngest.
    check_steps(&mut scheduler, &["1:12+1* 2:11+1* -3"]);
    // Its one block goes to 2, and nobody is admitted in its place, nor in the next steps: too little is free.
    check_steps(&mut scheduler, &["1:13+1* 2:12+1*", "1:14+1* 2:13+1*", "1:15+1* 2:14+1*"]);
    // 1 is at a block edge again. 2 is the youngest now, and gives up four blocks.
    check_steps(&mut scheduler, &["1:16+1* -2"]);
    assert_eq!((scheduler.num_running(), scheduler.num_waiting()), (1, 2));

    // Alone with the pool, 2 is computed again as one prompt: 11 tokens and the 5 it had got. 3 comes after it.
    assert!(scheduler.abort(RequestId(1)).is_some());
    check_steps(&mut scheduler, &["2:0+16* 3:0+5*"]);
}

/// Does a step, and says why the others got no row.
fn reasons(scheduler: &mut Scheduler) -> Vec<String> {
    let plan = scheduler.schedule(Timestamp::ZERO);
    let before_commit = all_skipped(scheduler, &plan);
    scheduler.commit(&plan, &vec![9; plan.num_samples()]);
    assert_eq!(before_commit, all_skipped(scheduler, &plan), "the reasons can be asked for after the step, too");
    before_commit.iter().map(|(id, reason)| format!("{id}: {reason}")).collect()
}

#[test]
fn a_request_without_a_row_is_told_why() {
    // 1 takes the whole budget: 2 is not admitted, 3 waits behind it.
    let mut scheduler = scheduler(limits(), &[8, 8, 9]);
    let expected = ["2: the others use up the step's budget of 8 tokens", "3: request 2 came first and still waits"];
    assert_eq!(reasons(&mut scheduler), expected);
    // Then 2 runs beside the decode of 1, and in the next step both leave 3 something: who runs gets a row in every step.
    assert_eq!(reasons(&mut scheduler), ["3: the others use up the step's budget of 8 tokens"]);
    assert_eq!(reasons(&mut scheduler), [""; 0]);

    let mut scheduler = self::scheduler(EngineConfig { max_num_seqs: 1, ..limits() }, &[1, 1]);
    assert_eq!(reasons(&mut scheduler), ["2: 1 sequence may run at a time, and as many do"]);
}

#[test]
fn a_request_that_finds_too_few_blocks_is_told_the_figures() {
    let mut scheduler = scheduler(limits(), &[4]);
    scheduler.submit(request(2, 57, 1)).unwrap();
    let expected = ["2: it needs 15 blocks, 1 stays spare for decodes, and 15 are free"];
    assert_eq!(reasons(&mut scheduler), expected);
}

#[test]
fn a_preempted_request_is_told_for_whom() {
    let limits = EngineConfig { num_kv_blocks: 8, max_tokens_per_step: 32, prefill_chunk_size: 32, ..limits() };
    let mut scheduler = scheduler(limits, &[12, 11, 4]);
    step(&mut scheduler);
    let plan = scheduler.schedule(Timestamp::ZERO);
    let (victim, needer) = (RequestId(3), Some(RequestId(3)));
    assert_eq!(plan.preempted, [Preemption { victim, needer }], "3 was the youngest and needed a block itself");
    assert_eq!(plan.admission_stop, AdmissionStop::StepPreempted);
    scheduler.commit(&plan, &[9, 9]);
    let free = "3: it needs 2 blocks, 1 stays spare for decodes, and 0 are free";
    assert_eq!([reasons(&mut scheduler), reasons(&mut scheduler), reasons(&mut scheduler)].concat(), [free; 3]);
    let expected = [
        "2: preempted: request 1 needed a block, and the youngest that runs gives way",
        "3: request 2 came first and still waits",
    ];
    assert_eq!(reasons(&mut scheduler), expected);
}

#[test]
fn commit_says_what_happened() {
    let (a, b, c) = (RequestId(1), RequestId(2), RequestId(3));
    let mut scheduler = Scheduler::new(limits()).unwrap();
    scheduler.submit(request(1, 1, 1)).unwrap();
    scheduler.submit(request(2, 1, 5)).unwrap();
    scheduler.submit(request(3, 1, 5)).unwrap();
    let plan = scheduler.schedule(Timestamp::ZERO);
    assert!(scheduler.abort(c).is_some(), "also between schedule and commit");
    let expected = [
        Event::Token { id: a, token_id: 9 },
        Event::Finished { id: a, reason: FinishReason::Length },
        Event::Finished { id: b, reason: FinishReason::Stop }, // and the stop token is not shown
    ];
    assert_eq!(scheduler.commit(&plan, &[9, 2, 9]), expected);
    assert!(scheduler.is_idle());
    assert_eq!(scheduler.num_free_blocks(), 16);
}

#[test]
fn a_failed_step_is_planned_again() {
    let mut scheduler = scheduler(limits(), &[3, 10]);
    let failed = scheduler.schedule(Timestamp::ZERO);
    assert_eq!(show(&scheduler.schedule(Timestamp::ZERO)), show(&failed));
}

#[test]
fn a_step_is_planned_while_the_one_before_it_is_in_flight() {
    let mut scheduler = scheduler(limits(), &[3, 4]);
    let first = scheduler.schedule(Timestamp::ZERO);
    assert_eq!(show(&first), "1:0+3* 2:0+4*");
    let second = scheduler.schedule_ahead(&first, Timestamp::ZERO).unwrap();
    assert_eq!(show(&second), "1:3+1* 2:4+1*", "each with the token that it is about to get");
    assert_eq!(second.sample_indices, [0, 1]);
    assert_eq!(scheduler.schedule_ahead(&second, Timestamp::ZERO), None, "two are enough");
    scheduler.commit(&first, &[9, 2]);
    assert_eq!(scheduler.num_running(), 1, "2 is the end of request 2");
    assert_eq!(scheduler.num_free_blocks(), 15, "whose blocks are free, though its row is in flight");
    let third = scheduler.schedule_ahead(&second, Timestamp::ZERO).unwrap();
    assert_eq!(show(&third), "1:4+1*");
    assert_eq!(third.sample_indices, [0]);
    assert_eq!(scheduler.commit(&second, &[9, 9]).len(), 1, "nobody gets what came of the row of request 2");
}

#[test]
fn no_step_is_planned_ahead_that_cannot_be_foreseen() {
    let ahead = |scheduler: &mut Scheduler| {
        let plan = scheduler.schedule(Timestamp::ZERO);
        let ahead = scheduler.schedule_ahead(&plan, Timestamp::ZERO);
        scheduler.commit(&plan, &vec![9; plan.num_samples()]);
        ahead.is_some_and(|ahead| {
            scheduler.commit(&ahead, &vec![9; ahead.num_samples()]);
            true
        })
    };
    let mut prompts = scheduler(limits(), &[10]);
    assert_eq!([ahead(&mut prompts), ahead(&mut prompts)], [false, true], "first a prompt has a second chunk");

    let mut queue = scheduler(limits(), &[3, 3]);
    queue.submit(request(3, 3, 20)).unwrap();
    assert_eq!([ahead(&mut queue), ahead(&mut queue)], [false, true], "somebody who waits can be admitted");

    let mut full = Scheduler::new(EngineConfig { max_num_seqs: 1, ..limits() }).unwrap();
    full.submit(request(1, 3, 5)).unwrap();
    full.submit(request(2, 3, 20)).unwrap();
    let all: Vec<bool> = (0..4).map(|_| ahead(&mut full)).collect();
    assert_eq!(all, [true, true, false, true], "nobody can, until it is sure that the first one ends");

    let mut tight = Scheduler::new(EngineConfig { num_kv_blocks: 3, ..limits() }).unwrap();
    tight.submit(request(1, 4, 8)).unwrap();
    tight.submit(request(2, 4, 8)).unwrap();
    assert!(!ahead(&mut tight), "two need a block for their next token, and one is free");
}

#[test]
fn a_refusal_has_the_figures_and_the_remedy() {
    let mut scheduler = scheduler(EngineConfig { num_kv_blocks: 12, ..limits() }, &[1]);
    let mut refusal = |id, prompt_len, max_new_tokens| {
        scheduler.submit(request(id, prompt_len, max_new_tokens)).map_err(|error| error.to_string())
    };
    assert_eq!(refusal(2, 29, 20), Ok(()), "48 tokens fill 12 blocks, and the 49th ends it");
    let refused = |reason: &str| Err(format!("request refused: {reason}"));
    assert_eq!(refusal(3, 0, 1), refused("the prompt is empty: give at least one token"));
    assert_eq!(refusal(2, 1, 1), refused("id 2 belongs to a request that has not finished"));
    assert_eq!(
        refusal(3, 61, 5),
        refused(
            "61 prompt tokens and 5 new ones, the last of which is not computed, are 65 tokens; max_model_len is 64: raise it to 65 and \
             num_kv_blocks to 17, or shorten the prompt to 44 tokens"
        )
    );
    assert_eq!(
        refusal(3, 30, 20),
        refused(
            "30 prompt tokens and 20 new ones, the last of which is not computed, are 49 tokens; they need 13 blocks of 4, and the pool has 12: \
             raise num_kv_blocks to 13, or shorten the prompt to 29 tokens, or lower max_new_tokens to 19"
        )
    );
    assert!(refusal(3, 1, usize::MAX).is_err(), "and no sum overflows");
    assert_eq!(refusal(3, 1, 0), Err("max_new_tokens is 0: it must be at least 1".into()));
}

#[test]
fn the_batch_is_the_token_table_of_the_plan() {
    let mut scheduler = scheduler(limits(), &[3, 10]);
    step(&mut scheduler);
    let plan = scheduler.schedule(Timestamp::ZERO);
    assert_eq!(show(&plan), "1:3+1* 2:5+5*");
    let batch = RaggedBatch::build(&plan, &scheduler);
    assert_eq!(batch.token_ids, [9, 7, 7, 7, 7, 7], "what was sampled, and the rest of a prompt");
    assert_eq!(batch.cu_seqlens_q, [0, 1, 6]);
    assert_eq!(batch.logit_indices, [0, 5]);
    let expected = [
        " row  seq   pos   slot │ cached │ this step",
        "   0    0     3      3 │      3 │ ■ · · · · ·",
        "   1    1     5      9 │      5 │ · ■ · · · ·",
        "   2    1     6     10 │      5 │ · ■ ■ · · ·",
        "   3    1     7     11 │      5 │ · ■ ■ ■ · ·",
        "   4    1     8     12 │      5 │ · ■ ■ ■ ■ ·",
        "   5    1     9     13 │      5 │ · ■ ■ ■ ■ ■",
    ];
    assert_eq!(RaggedMask::new(&batch).to_string().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn after_a_chunk_nothing_is_foreseen_though_its_request_is_gone() {
    let mut scheduler = scheduler(EngineConfig { prefill_chunk_size: 4, ..limits() }, &[12, 2]);
    let plan = scheduler.schedule(Timestamp::ZERO);
    assert_eq!(show(&plan), "1:0+4 2:0+2*");
    scheduler.abort(RequestId(1));
    // The second row is the first that samples: counted as rows, its token would be the second.
    assert_eq!(scheduler.schedule_ahead(&plan, Timestamp::ZERO), None);
}
