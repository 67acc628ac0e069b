//! The log of a small run that preempts: it reads back as it was, and its views say what happened.

use super::{Steps, clocked_engine, clocked_engine_of, engine, params};
use cb_lab::RequestId;
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::skipped::Skipped;
use cb_lab::core::step_plan::AdmissionStop;
use cb_lab::model::rope::RopeScaling;
use cb_lab::observe::views::{Cell, Summary, budget_use, latencies, summary, timeline};
use cb_lab::observe::{Entry, QueueHead, Recorder, Recording, Run, VERSION};
use pollster::block_on;
use std::collections::BTreeMap;

/// The run of `the_youngest_is_preempted_and_computed_again` in the scheduler's examples, but to its end: 3 + 3 + 1
/// blocks at first, and 8 in the pool. Request 2 is aborted when it waits; request 3 comes late. A step takes 10 ms, and
/// 5 ms pass between two.
pub fn recording() -> Recording {
    recording_with_batches(Steps::OneByOne).0
}

/// The log, and the batch of each of its steps. Those that were begun last, where steps overlap.
pub fn recording_with_batches(steps: Steps) -> (Recording, Vec<RaggedBatch>) {
    let mut engine = clocked_engine(8, 32, steps);
    let limits = engine.scheduler().config().clone();
    let run = Run { version: VERSION, model: "embedded".into(), backend: "cpu".into(), config: limits };
    let (mut recorder, mut recording) = (Recorder::new(&run.config), Recording::new(run));
    for (prompt_len, max_new_tokens) in [(12, 7), (11, 6), (4, 6)] {
        let id = engine.submit(vec![7; prompt_len], params(max_new_tokens)).unwrap();
        recording.push(recorder.submitted(id, prompt_len, max_new_tokens, engine.now()));
    }
    let mut batches = Vec::new();
    while !engine.is_idle() {
        engine.runner_mut().now.0 += 5_000;
        let report = block_on(engine.step()).unwrap();
        recording.push(recorder.step(&report));
        batches.push(engine.runner().device.batch().clone());
        if report.plan.step == 3 {
            engine.abort(RequestId(2)).unwrap();
            recording.push(recorder.aborted(RequestId(2), engine.now()));
            let id = engine.submit(vec![7; 2], params(1)).unwrap();
            recording.push(recorder.submitted(id, 2, 1, engine.now()));
        }
    }
    (recording, batches)
}

#[test]
fn a_log_reads_back_as_it_was() {
    let recording = recording();
    let jsonl = recording.to_jsonl();
    assert_eq!(Recording::parse(&jsonl).unwrap(), recording);
    assert_eq!(jsonl.lines().count(), 1 + recording.entries().len());
}

/// A log of overlapping steps adds up, and says of every request what one of steps one by one says.
#[test]
fn steps_that_overlap_are_logged_as_well() {
    let (overlapping, _) = recording_with_batches(Steps::Overlapping);
    let one_by_one = recording();
    assert_eq!(Recording::parse(&overlapping.to_jsonl()).unwrap(), overlapping);
    let tokens = |recording: &Recording| {
        let mut tokens: BTreeMap<RequestId, Vec<_>> = BTreeMap::new();
        for token in recording.steps().flat_map(|step| &step.tokens) {
            tokens.entry(token.id).or_default().push((token.token_id, token.text.clone()));
        }
        tokens
    };
    assert_eq!(tokens(&overlapping), tokens(&one_by_one));
    let overlap = |steps: Vec<&cb_lab::observe::Step>| {
        steps.windows(2).filter(|pair| pair[1].start_ms < pair[0].start_ms + pair[0].ms).count()
    };
    assert_eq!(overlap(one_by_one.steps().collect()), 0);
    assert!(overlap(overlapping.steps().collect()) > 0, "some step was begun before the last one had ended");
}

/// Two that decode side by side. One is aborted while a step is in flight that has a row of it: that row is passed over.
#[test]
fn rows_of_requests_that_ended_are_passed_over() {
    let mut engine = clocked_engine(8, 32, Steps::Overlapping);
    let config = engine.scheduler().config().clone();
    let run = Run { version: VERSION, model: "embedded".into(), backend: "cpu".into(), config };
    let (mut recorder, mut recording) = (Recorder::new(&run.config), Recording::new(run));
    for prompt_len in [3, 2] {
        let id = engine.submit(vec![7; prompt_len], params(6)).unwrap();
        recording.push(recorder.submitted(id, prompt_len, 6, engine.now()));
    }
    while !engine.is_idle() {
        let report = block_on(engine.step()).unwrap();
        recording.push(recorder.step(&report));
        if report.plan.step == 2 {
            engine.abort(RequestId(0)).unwrap();
            recording.push(recorder.aborted(RequestId(0), engine.now()));
        }
    }
    assert_eq!(Recording::parse(&recording.to_jsonl()).unwrap(), recording);
    let passed_over: Vec<_> = recording.steps().map(|step| step.passed_over.len()).collect();
    assert_eq!(passed_over, [0, 0, 1, 0, 0, 0]);
    let rows: Vec<_> = recording.steps().map(|step| step.rows.len()).collect();
    assert_eq!(rows, [2, 2, 1, 1, 1, 1]);
}

/// The first in the queue is aborted while a step is in flight that was planned when it still waited: the log names nobody
/// who has ended.
#[test]
fn nobody_who_ended_is_first_in_the_queue() {
    let mut engine = clocked_engine(4, 32, Steps::Overlapping);
    let config = engine.scheduler().config().clone();
    let run = Run { version: VERSION, model: "embedded".into(), backend: "cpu".into(), config };
    let (mut recorder, mut recording) = (Recorder::new(&run.config), Recording::new(run));
    for (prompt_len, max_new_tokens) in [(8, 7), (5, 6), (5, 6)] {
        let id = engine.submit(vec![7; prompt_len], params(max_new_tokens)).unwrap();
        recording.push(recorder.submitted(id, prompt_len, max_new_tokens, engine.now()));
    }
    while !engine.is_idle() {
        let report = block_on(engine.step()).unwrap();
        recording.push(recorder.step(&report));
        if report.plan.step == 2 {
            engine.abort(RequestId(1)).unwrap();
            recording.push(recorder.aborted(RequestId(1), engine.now()));
        }
    }
    assert_eq!(Recording::parse(&recording.to_jsonl()).unwrap(), recording);
    let firsts: Vec<_> =
        recording.steps().map(|step| step.queue.map(|queue| queue.map(|queue| queue.first.0))).take(4).collect();
    assert_eq!(firsts, [Some(Some(1)), None, Some(None), Some(Some(2))]);
    let skipped: Vec<_> = recording.skipped().iter().map(Vec::len).take(4).collect();
    assert_eq!(skipped, [2, 2, 0, 1], "who is behind nobody has no reason yet");
}

/// A model whose K and V are others from 15 tokens on. Who gets there releases all, and the log says so.
#[test]
fn who_outgrows_its_kv_is_told_of() {
    let mut engine = clocked_engine_of(8, 32, Steps::OneByOne, |model| {
        model.rope.scaling = RopeScaling::LongRope {
            short_factor: Vec::new(),
            long_factor: Vec::new(),
            attention_factor: 1.0,
            original_max_position_embeddings: 14,
        };
    });
    let config = engine.scheduler().config().clone();
    let run = Run { version: VERSION, model: "embedded".into(), backend: "cpu".into(), config };
    let (mut recorder, mut recording) = (Recorder::new(&run.config), Recording::new(run));
    for (prompt_len, max_new_tokens) in [(12, 6), (12, 6)] {
        let id = engine.submit(vec![7; prompt_len], params(max_new_tokens)).unwrap();
        recording.push(recorder.submitted(id, prompt_len, max_new_tokens, engine.now()));
    }
    while !engine.is_idle() {
        recording.push(recorder.step(&block_on(engine.step()).unwrap()));
    }
    assert_eq!(Recording::parse(&recording.to_jsonl()).unwrap(), recording);
    let outgrown: Vec<(u64, Vec<u64>)> = recording
        .steps()
        .filter(|step| !step.outgrown.is_empty())
        .map(|step| (step.step, step.outgrown.iter().map(|id| id.0).collect()))
        .collect();
    assert_eq!(outgrown, [(4, vec![0, 1])]);
    assert!(recording.steps().all(|step| step.freed.iter().all(|freed| step.lost_blocks(freed.id))));
    // Two times 15 tokens: more blocks than there are spare ones, so the second waits.
    assert_eq!(timeline(&recording)[1].cells[3], Cell::Preempted);
}

/// A decode is a row of one token that samples, to the log as to the plan: also what the chunks left of a prompt.
#[test]
fn log_and_plan_call_the_same_rows_decodes() {
    let mut engine = engine(16, 8);
    let limits = engine.scheduler().config().clone();
    let run = Run { version: VERSION, model: "embedded".into(), backend: "cpu".into(), config: limits };
    let (mut recorder, mut recording, mut in_plans) = (Recorder::new(&run.config), Recording::new(run), Vec::new());
    for prompt_len in [9, 1, 12] {
        let id = engine.submit(vec![7; prompt_len], params(2)).unwrap();
        recording.push(recorder.submitted(id, prompt_len, 2, engine.now()));
    }
    while !engine.is_idle() {
        let report = block_on(engine.step()).unwrap();
        in_plans.push(report.plan.num_decodes());
        recording.push(recorder.step(&report));
    }
    let in_log: Vec<usize> = budget_use(&recording).iter().map(|used| used.decode).collect();
    assert_eq!((&in_log, in_plans[..2].to_vec()), (&in_plans, vec![1, 2]));
    assert_eq!(timeline(&recording)[0].cells[..2], [Cell::Prefill(8), Cell::Decode]);
}

#[test]
fn a_lane_says_what_a_request_did_in_every_step() {
    let drawn = |cell: &Cell| match cell {
        Cell::NotYet => " ".into(),
        Cell::Waiting => ".".into(),
        Cell::Preempted => "!".into(),
        Cell::Idle => "-".into(),
        Cell::Prefill(query_len) => format!("({query_len})"),
        Cell::Decode => "D".into(),
        Cell::Finished => "_".into(),
    };
    let lanes: Vec<String> = timeline(&recording())
        .iter()
        .map(|lane| format!("{}: {}", lane.request.id, lane.cells.iter().map(drawn).collect::<String>()))
        .collect();
    // 2 needs a block in step 2 and is the youngest. 1 is preempted for 0 in step 6, and computed again: 11 tokens and 5.
    assert_eq!(lanes, ["0: (12)DDDDDD_", "1: (11)DDDD!.(16)", "2: (4)!._____", "3:    ....(2)"]);
}

#[test]
fn the_budget_is_split_between_decodes_and_prompts() {
    let uses: Vec<_> = budget_use(&recording()).iter().map(|used| (used.decode, used.prefill)).collect();
    assert_eq!(uses, [(0, 27), (2, 0), (2, 0), (2, 0), (2, 0), (1, 0), (1, 0), (0, 18)]);
    assert_eq!(budget_use(&recording())[0].max_tokens_per_step, 32);
}

#[test]
fn latencies_count_from_submission_and_from_token_to_token() {
    let latencies = latencies(&recording());
    let first: Vec<_> = latencies.iter().map(|l| l.first_token.map(|wait| (wait.steps, wait.ms))).collect();
    // Request 3 came after step 3, at 45 ms; step 8 ends at 5 + 7 * 15 + 10 = 120 ms.
    assert_eq!(first, [Some((1, 15.0)), Some((1, 15.0)), Some((1, 15.0)), Some((5, 75.0))]);
    let gaps =
        |request: usize| latencies[request].inter_token.iter().map(|gap| (gap.steps, gap.ms)).collect::<Vec<_>>();
    assert_eq!(gaps(0), [(1, 15.0); 6]);
    assert_eq!(gaps(1), [(1, 15.0), (1, 15.0), (1, 15.0), (1, 15.0), (3, 45.0)], "preempted once");
    assert_eq!(gaps(2), []);
    assert_eq!(latencies[1].inter_token_steps(), Some((1.4, 3)));
    assert_eq!(latencies[1].inter_token_ms(), Some((21.0, 45.0)));
    assert_eq!(latencies[2].inter_token_steps(), None);
}

#[test]
fn a_summary_has_the_means_and_the_longest() {
    let expected = Summary {
        num_steps: 8,
        num_tokens: 27 + 4 * 2 + 2 + 18,
        largest_step_with_decodes: 2,
        first_token: (2.0, 30.0),
        longest_inter_token: (3, 45.0),
        ms: 7.0 * 15.0 + 10.0,
    };
    assert_eq!(summary(&recording()), expected);
}

#[test]
fn the_log_has_reasons_and_block_tables() {
    let recording = recording();
    let steps: Vec<_> = recording.steps().collect();
    let skipped = recording.skipped();
    assert_eq!(skipped[1][0].1, Skipped::Preempted { needer: RequestId(2) });
    assert_eq!(skipped[6][1].1, Skipped::BehindFirst { first: RequestId(1) });
    let changes: Vec<bool> = steps.iter().map(|step| step.queue.is_some()).collect();
    assert_eq!(changes, [false, true, true, true, false, true, true, true], "a reason is written when it changes");
    assert_eq!(steps[5].freed[0].blocks.len(), 4);
    assert_eq!(steps[6].finished[0].id, RequestId(0));
    let lens: Vec<Vec<_>> =
        recording.block_tables().iter().map(|tables| tables.values().map(Vec::len).collect()).collect();
    assert_eq!(
        lens,
        [[3, 3, 1].to_vec(), vec![4, 3], vec![4, 4], vec![4, 4], vec![4, 4], vec![5], vec![5], vec![4, 1]]
    );
    let tokens = steps.iter().flat_map(|step| &step.tokens).filter(|token| token.id == RequestId(1)).count();
    assert_eq!(tokens, 6);
}

/// Every kind of line that does not fit the others is named.
#[test]
fn a_log_that_does_not_add_up_is_refused() {
    let recording = recording();
    let lines: Vec<String> = recording.to_jsonl().lines().map(String::from).collect();
    let refusal = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        Recording::parse(&lines.join("\n")).map(|_| ()).unwrap_err()
    };
    let with_step = |change: fn(&mut cb_lab::observe::Step)| {
        // Line 5 is the first step, after the run and three requests.
        refusal(&|lines| {
            let mut entry: Entry = serde_json::from_str(&lines[4]).unwrap();
            let Entry::Step(step) = &mut entry else { panic!("line 5 is a step") };
            change(step);
            lines[4] = entry.to_json();
        })
    };
    assert_eq!(refusal(&|lines| lines.clear()), "the log is empty");
    assert_eq!(refusal(&|lines| drop(lines.remove(0))), "line 1: the first line must be of event run");
    assert_eq!(refusal(&|lines| lines[2] = lines[0].clone()), "line 3: a second run begins");
    assert_eq!(
        refusal(&|lines| lines[0] = lines[0].replace("\"version\":2", "\"version\":3")),
        "line 1: the log has version 3, readable is 2"
    );
    assert!(refusal(&|lines| lines[3] = "{".into()).starts_with("line 4: EOF"));
    assert_eq!(
        refusal(&|lines| lines[0] = lines[0].replace("\"block_size\":4", "\"block_size\":0")),
        "line 1: block_size is 0: use a power of two from 1 to 256"
    );
    assert_eq!(refusal(&|lines| lines[2] = lines[1].clone()), "line 3: request 0 was submitted before");
    assert_eq!(refusal(&|lines| drop(lines.remove(3))), "line 4: request 2 is unknown or has ended");
    assert_eq!(refusal(&|lines| lines.swap(4, 5)), "line 5: request 2 gives back 1 blocks, and not the 0 it holds");
    assert_eq!(with_step(|step| drop(step.taken.remove(0))), "line 5: request 0 has a row and no blocks for it");
    assert_eq!(
        with_step(|step| step.rows[0].context_len = usize::MAX),
        "line 5: request 0 has a row and no blocks for it"
    );
    assert_eq!(with_step(|step| step.step = 0), "line 5: step 0 after step 0");
    assert_eq!(with_step(|step| step.free_blocks = 3), "line 5: free_blocks is 3, and 1 are free");
    assert_eq!(with_step(|step| step.rows[0].query_len = 20), "line 5: 35 rows, the budget is 32");
    // No sum of rows is so large that it looks small.
    let huge = with_step(|step| step.rows[0].query_len = usize::MAX);
    assert_eq!(huge, format!("line 5: {} rows, the budget is 32", usize::MAX));
    assert_eq!(
        with_step(|step| step.queue = Some(Some(QueueHead { first: RequestId(9), why: AdmissionStop::StepPreempted }))),
        "line 5: request 9 is unknown or has ended"
    );
    assert_eq!(
        with_step(|step| step.queue = Some(Some(QueueHead { first: RequestId(1), why: AdmissionStop::StepPreempted }))),
        "line 5: request 1 is first in the queue and holds blocks"
    );
    assert_eq!(
        refusal(&|lines| lines[5] = lines[5].replace(r#""preempted":[{"victim":2,"needer":2}]"#, r#""preempted":[]"#)),
        "line 6: request 2 gives blocks back, and was not preempted"
    );
    assert_eq!(
        with_step(|step| step.rows[0].samples = false),
        "line 5: request 0 gets a token and has no row that samples"
    );
    assert_eq!(
        with_step(|step| step.rows[1] = step.rows[0]),
        "line 5: request 0 has two rows, or a row and a reason why it has none"
    );
    assert_eq!(
        with_step(|step| step.taken[1].blocks[0] = step.taken[0].blocks[0]),
        "line 5: free_blocks is 1, and 2 are free"
    );
    assert_eq!(with_step(|step| step.taken[0].blocks[0].0 = 8), "line 5: block 8 is not in a pool of 8");
}
