//! Everything around the scheduler: who submits, what executes, and what must have come of it.

use std::collections::BTreeMap;

use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::request::{FinishReason, Request};
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{BlockChange, Event, StepPlan};
use cb_lab::core::timestamp::Timestamp;
use cb_lab::{EngineConfig, Error, RequestId, TokenId};

use crate::checks::{Snapshot, check_ahead, check_plan, check_state};
use crate::mirror::Mirror;
use crate::model::{HostKvCache, expected_output, next_token};

/// A scheduler, a KV cache in host memory, and the books that both are checked against.
pub struct World {
    pub scheduler: Scheduler,
    config: EngineConfig,
    kv_cache: HostKvCache,
    /// The block tables by the plans and events there were.
    mirror: Mirror,
    /// The same for one who is shown only what is committed, as a log is.
    of_committed: Mirror,
    batch: RaggedBatch,
    /// Unfinished requests, and the tokens they got.
    live: BTreeMap<RequestId, (Request, Vec<TokenId>)>,
    /// The tokens of those that ran to their end.
    pub outputs: BTreeMap<RequestId, Vec<TokenId>>,
    /// Who lost their blocks in a step that failed, and was not told yet.
    unreported: Vec<RequestId>,
}

impl World {
    pub fn new(config: EngineConfig) -> Self {
        Self {
            scheduler: Scheduler::new(config.clone()).unwrap(),
            kv_cache: HostKvCache::new(config.num_kv_blocks, config.block_size),
            config,
            mirror: Mirror::default(),
            of_committed: Mirror::default(),
            batch: RaggedBatch::default(),
            live: BTreeMap::new(),
            outputs: BTreeMap::new(),
            unreported: Vec::new(),
        }
    }

    /// Submits, and expects a refusal iff the request cannot fit.
    pub fn submit(&mut self, request: Request) {
        let max_len = request.prompt_token_ids.len() + request.params.max_new_tokens;
        // The last token is never computed.
        let fits = max_len - 1 <= self.config.max_model_len
            && max_len - 1 <= self.config.num_kv_blocks * self.config.block_size
            && !self.live.contains_key(&request.id);
        let result = self.scheduler.submit(request.clone());
        assert_eq!(result.is_ok(), fits, "{result:?}");
        match result {
            Ok(()) => drop(self.live.insert(request.id, (request, Vec::new()))),
            Err(error) => assert!(matches!(error, Error::RequestRefused(_)), "{error}"),
        }
    }

    /// The unfinished request at a place, counted around.
    fn pick(&self, nth: usize) -> Option<RequestId> {
        let nth = nth.checked_rem(self.live.len())?;
        self.live.keys().nth(nth).copied()
    }

    /// Ends the unfinished request at a place from outside: its blocks come back at once, and nothing else changes.
    pub fn end(&mut self, nth: usize, reason: FinishReason) {
        let Some(id) = self.pick(nth) else { return };
        let before = Snapshot::of(&self.scheduler);
        let num_blocks = self.scheduler.get(id).unwrap().block_table().num_blocks();
        let event = match reason {
            FinishReason::Abort => self.scheduler.abort(id),
            _ => self.scheduler.finish(id, reason),
        };
        let event = event.expect("it has not ended");
        assert!(matches!(event, Event::Finished { id: ended, reason: why } if ended == id && why == reason));
        self.mirror.event(&event);
        self.of_committed.forget(id);
        assert_eq!(self.scheduler.abort(id), None, "it is gone");
        assert_eq!(self.scheduler.num_free_blocks(), before.num_free_blocks + num_blocks);
        let mut expected = before;
        expected.forget(id, num_blocks);
        assert_eq!(Snapshot::of(&self.scheduler), expected, "the others stay as they were");
        self.live.remove(&id);
        self.unreported.retain(|unreported| *unreported != id);
        self.after_change();
    }

    /// Plans a step and executes it, without committing.
    fn plan_and_execute(&mut self, share_of_rows: usize) -> (StepPlan, Vec<TokenId>) {
        let before = Snapshot::of(&self.scheduler);
        let plan = self.scheduler.schedule(Timestamp::ZERO);
        check_plan(&before, &plan, &self.scheduler);
        self.mirror.follow(&plan.block_changes);
        self.after_change();
        self.batch.build_into(&plan, &self.scheduler);
        assert_eq!(self.batch, RaggedBatch::build(&plan, &self.scheduler), "reused memory makes no difference");
        let sampled = self.execute(&plan, share_of_rows, &[]);
        (plan, sampled)
    }

    /// Plans the step after one that is in flight, and executes it, as a device does: before that one is committed.
    fn plan_ahead_and_execute(&mut self, plan: &StepPlan, sampled: &[TokenId]) -> Option<(StepPlan, Vec<TokenId>)> {
        let before = Snapshot::of(&self.scheduler);
        let ahead = self.scheduler.schedule_ahead(plan, Timestamp::ZERO);
        self.mirror.follow(ahead.iter().flat_map(|ahead| &ahead.block_changes));
        self.after_change();
        let is_last =
            |id| self.live.get(&id).is_some_and(|(request, out)| out.len() + 1 == request.params.max_new_tokens);
        check_ahead(&before, plan, ahead.as_ref(), &self.scheduler, is_last);
        let ahead = ahead?;
        self.batch.build_into(&ahead, &self.scheduler);
        assert!(self.batch.token_ids.is_empty(), "nobody knows them yet");
        let tokens = self.execute(&ahead, usize::MAX, sampled);
        Some((ahead, tokens))
    }

    /// The forward pass: write, read back through the block table, hash. `sampled_before`: by the step before, for one
    /// that was planned ahead.
    fn execute(&mut self, plan: &StepPlan, num_rows: usize, sampled_before: &[TokenId]) -> Vec<TokenId> {
        let in_flight: Vec<_> =
            self.batch.sample_indices.iter().map(|&sample| sampled_before[sample as usize]).collect();
        self.batch.token_ids.extend(&in_flight);
        let ids: Vec<_> = plan.rows.iter().map(|row| row.id).collect();
        self.kv_cache.write(&self.batch, &ids, num_rows);
        if num_rows < self.batch.num_tokens() {
            return Vec::new(); // the device failed half-way
        }
        let mut logit_indices = Vec::new();
        let mut sampled = Vec::new();
        for (seq, row) in plan.rows.iter().enumerate() {
            let (request, output) = &self.live[&row.id];
            let known = request.prompt_token_ids.iter().chain(output).chain(in_flight.get(seq));
            let own: Vec<_> = known.copied().take(row.seq_len()).collect();
            assert_eq!(own.len(), row.seq_len(), "request {} has so many tokens", row.id);
            assert_eq!(self.kv_cache.read(&self.batch, seq, row.id), own, "request {} reads its own tokens", row.id);
            if row.samples {
                logit_indices.push(self.batch.cu_seqlens_q[seq + 1] - 1);
                sampled.push(next_token(request.params.seed, &own));
            }
        }
        assert_eq!(self.batch.logit_indices, logit_indices);
        sampled
    }

    /// A step whose execution fails after some rows were written.
    pub fn failed_step(&mut self, num_rows: usize) {
        let (plan, _) = self.plan_and_execute(num_rows);
        self.unreported.extend(plan.preempted.iter().map(|preemption| preemption.victim));
    }

    /// A step that is committed. `meanwhile` happens between execution and commit.
    pub fn step_while(&mut self, meanwhile: impl FnOnce(&mut Self)) {
        let (plan, sampled) = self.plan_and_execute(usize::MAX);
        meanwhile(self);
        self.commit(&plan, &sampled);
        self.of_committed.check(&self.scheduler);
    }

    /// The device is lost, with all K and V.
    pub fn lose_device(&mut self) {
        let running: Vec<_> = self.scheduler.running().map(|sequence| sequence.id()).collect();
        self.scheduler.preempt_all();
        assert_eq!((self.scheduler.num_running(), self.scheduler.num_free_blocks()), (0, self.config.num_kv_blocks));
        running.iter().for_each(|&id| self.mirror.forget(id));
        self.unreported.extend(running.into_iter().rev());
        self.after_change();
    }

    /// So many steps, each planned and executed before the one before it is committed, as far as the scheduler goes.
    /// `meanwhile` happens while the first two are in flight. In the end the device fails, or it does not.
    pub fn steps_ahead(&mut self, num_steps: usize, fails: bool, meanwhile: impl FnOnce(&mut Self)) {
        let (mut plan, mut sampled) = self.plan_and_execute(usize::MAX);
        let mut meanwhile = Some(meanwhile);
        for nth in 0..num_steps {
            let ahead = self.plan_ahead_and_execute(&plan, &sampled);
            if let Some(meanwhile) = meanwhile.take() {
                meanwhile(self);
            }
            if fails && nth + 1 == num_steps {
                break;
            }
            self.commit(&plan, &sampled);
            match ahead {
                Some(next) => (plan, sampled) = next,
                None => return,
            }
        }
        if fails {
            let victims = plan.preempted.iter().map(|preemption| preemption.victim);
            self.unreported.extend(victims.filter(|id| self.live.contains_key(id)));
        } else {
            self.commit(&plan, &sampled);
        }
    }

    fn commit(&mut self, plan: &StepPlan, sampled: &[TokenId]) {
        let in_flight = Snapshot::of(&self.scheduler);
        let events = self.scheduler.commit(plan, sampled);
        let is_alive = |change: &&BlockChange| {
            let (BlockChange::Taken { id, .. } | BlockChange::Released { id, .. }) = change;
            self.live.contains_key(id)
        };
        self.of_committed.follow(plan.all_block_changes().filter(is_alive));
        for event in &events {
            self.mirror.event(event);
            self.of_committed.event(event);
        }
        self.check_events(plan, sampled, &events);
        for row in &plan.rows {
            // A committed row advances its context by itself; one that ended in the meantime does nothing.
            if let Some(sequence) = self.scheduler.get(row.id)
                && in_flight.is_running(row.id)
            {
                assert_eq!(sequence.context_len(), row.seq_len());
                assert_eq!(sequence.num_tokens(), in_flight.num_tokens(row.id) + usize::from(row.samples));
            }
        }
        self.after_change();
    }

    pub fn step(&mut self) {
        self.step_while(|_| {});
    }

    /// Exactly the events that the sampled tokens of the living call for, in order.
    fn check_events(&mut self, plan: &StepPlan, sampled: &[TokenId], events: &[Event]) {
        let victims = self.unreported.drain(..).chain(plan.preempted.iter().map(|preemption| preemption.victim));
        let told = victims.filter(|id| self.live.contains_key(id));
        let mut expected: Vec<_> = told.map(|id| Event::Preempted { id }).collect();
        for (row, &token_id) in plan.rows.iter().filter(|row| row.samples).zip(sampled) {
            let id = row.id;
            let Some((request, output)) = self.live.get_mut(&id) else { continue };
            let (whole, reason) = expected_output(request);
            if let Some(&expected_token) = whole.get(output.len()) {
                assert_eq!(token_id, expected_token, "request {id} gets what it would get alone");
                output.push(token_id);
                expected.push(Event::Token { id, token_id });
                if reason == FinishReason::Stop || output.len() < whole.len() {
                    continue; // a stop token is yet to come, and is not shown
                }
            }
            expected.push(Event::Finished { id, reason });
        }
        assert_eq!(events, expected);
        for event in events {
            if let Event::Finished { id, .. } = event {
                let (_, output) = self.live.remove(id).unwrap();
                self.outputs.insert(*id, output);
            }
        }
    }

    fn after_change(&mut self) {
        self.mirror.check(&self.scheduler);
        let is_owned = check_state(&self.scheduler);
        self.kv_cache.poison_unowned(&is_owned);
        assert_eq!(self.scheduler.is_idle(), self.live.is_empty());
    }

    /// Steps until all is done, within the number of steps that is enough whatever happens.
    ///
    /// A step with a decode samples, and tokens sampled are never lost: at most one such step per token still owed.
    /// Without one, the oldest prompt advances by a whole chunk, and after its last chunk it samples.
    pub fn run_until_idle(&mut self) {
        let tokens_owed: usize =
            self.live.values().map(|(request, out)| request.params.max_new_tokens - out.len()).sum();
        let longest = self.live.values().map(|(r, _)| r.prompt_token_ids.len() + r.params.max_new_tokens).max();
        let chunk = self.config.prefill_chunk_size.min(self.config.max_tokens_per_step);
        let bound = tokens_owed * longest.unwrap_or(0).div_ceil(chunk);
        let mut num_steps = 0;
        while !self.scheduler.is_idle() {
            assert!(num_steps < bound, "not finished after {bound} steps");
            self.step();
            num_steps += 1;
        }
        assert_eq!(self.scheduler.num_free_blocks(), self.config.num_kv_blocks, "nothing is left behind");
        assert!(self.scheduler.schedule(Timestamp::ZERO).is_empty(), "there is nothing to do");
    }
}
