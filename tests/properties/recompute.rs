//! Sequences whose K and V are others once they are longer than some length: no row ever reads K of the other kind.

use std::collections::BTreeMap;

use cb_lab::config::{KvDtype, WeightDtype};
use cb_lab::core::batch_builder::RaggedBatch;
use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{Event, StepPlan};
use cb_lab::core::timestamp::Timestamp;
use cb_lab::{EngineConfig, RequestId};
use proptest::prelude::*;

use crate::mirror::Mirror;
use crate::operations::{Wish, config, wish};
use crate::seeded;

/// A scheduler, and for each request how the K of its tokens was computed: true where it was a long one.
struct Watched {
    scheduler: Scheduler,
    longest: usize,
    computed: BTreeMap<RequestId, Vec<bool>>,
    /// The block tables, by what plans and events say.
    mirror: Mirror,
}

impl Watched {
    fn new(config: EngineConfig, longest: usize) -> Self {
        let scheduler = Scheduler::new(config).unwrap().recomputing_past(Some(longest));
        Self { scheduler, longest, computed: BTreeMap::new(), mirror: Mirror::default() }
    }

    fn submit(&mut self, wishes: &[Wish]) {
        for (id, wish) in (0..).zip(wishes) {
            self.scheduler.submit(wish.request(id)).unwrap();
        }
    }

    /// Every row of a plan computes its K and reads that of its sequence's earlier tokens.
    fn execute(&mut self, plan: &StepPlan) {
        self.mirror.follow(&plan.block_changes);
        self.mirror.check(&self.scheduler);
        let batch = RaggedBatch::build(plan, &self.scheduler);
        for (seq, row) in plan.rows.iter().enumerate() {
            let is_long = batch.num_known(seq) > self.longest;
            assert!(batch.num_known(seq) >= row.seq_len(), "a row computes no token that is not known");
            let computed = self.computed.entry(row.id).or_default();
            computed.truncate(row.context_len);
            computed.resize(row.seq_len(), is_long);
            assert!(computed.iter().all(|&was_long| was_long == is_long), "{row:?} reads K of the other kind");
        }
    }

    /// Commits a plan. Who grows past the length, and only who does, gives its blocks back at once.
    fn commit(&mut self, plan: &StepPlan) {
        let events = self.scheduler.commit(plan, &vec![9; plan.num_samples()]);
        self.scheduler.check_integrity().unwrap();
        events.iter().for_each(|event| self.mirror.event(event));
        self.mirror.check(&self.scheduler);
        for row in plan.rows.iter().filter(|row| row.samples) {
            let grows_past = row.seq_len() == self.longest && self.scheduler.get(row.id).is_some();
            let told = events.iter().any(|event| matches!(event, Event::Outgrown { id } if *id == row.id));
            assert_eq!(told, grows_past, "{row:?}: {events:?}");
            let runs = self.scheduler.get(row.id).is_some_and(|sequence| sequence.is_running());
            assert!(!(grows_past && runs), "{row:?} keeps its blocks");
        }
    }

    /// Runs until all is done, two steps at a time where `is_ahead` says so.
    fn run_until_idle(&mut self, mut is_ahead: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            let plan = self.scheduler.schedule(Timestamp::ZERO);
            if plan.is_empty() {
                assert!(self.scheduler.is_idle());
                assert_eq!(self.scheduler.num_free_blocks(), self.scheduler.config().num_kv_blocks);
                return;
            }
            self.execute(&plan);
            let ahead = if is_ahead() { self.scheduler.schedule_ahead(&plan, Timestamp::ZERO) } else { None };
            if let Some(ahead) = &ahead {
                self.execute(ahead);
            }
            self.commit(&plan);
            ahead.iter().for_each(|ahead| self.commit(ahead));
        }
        panic!("it does not end");
    }
}

/// Any wish fits a pool of so many tokens.
const LONGEST_WISH: usize = 34;

proptest! {
    #![proptest_config(seeded(5))]

    #[test]
    fn nobody_reads_k_of_the_other_kind(
        config in config(LONGEST_WISH),
        wishes in prop::collection::vec(wish(), 1..8),
        longest in 1..LONGEST_WISH,
        ahead in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let mut watched = Watched::new(config, longest);
        watched.submit(&wishes);
        let mut ahead = ahead.into_iter().cycle();
        watched.run_until_idle(|| ahead.next().unwrap_or_default());
    }
}

/// The plans of requests of 3 and of 2 tokens that want 5 more each, as `id:context_len+query_len`.
fn plans(longest: Option<usize>) -> Vec<String> {
    let config = EngineConfig {
        block_size: 4,
        num_kv_blocks: 16,
        max_tokens_per_step: 8,
        prefill_chunk_size: 4,
        max_num_seqs: 4,
        max_model_len: 64,
        kv_dtype: KvDtype::F32,
        weight_dtype: WeightDtype::Auto,
    };
    let mut scheduler = Scheduler::new(config).unwrap().recomputing_past(longest);
    for (id, prompt_len) in [(1, 3), (2, 2)] {
        let wish = Wish { prompt_len, max_new_tokens: 5, seed: 0, ignore_eos: true };
        scheduler.submit(wish.request(id)).unwrap();
    }
    let mut plans = Vec::new();
    while !scheduler.is_idle() {
        let plan = scheduler.schedule(Timestamp::ZERO);
        scheduler.commit(&plan, &vec![9; plan.num_samples()]);
        let rows = plan.rows.iter().map(|row| format!("{}:{}+{}", row.id, row.context_len, row.query_len));
        plans.push(rows.collect::<Vec<_>>().join(" "));
    }
    plans
}

#[test]
fn a_sequence_that_grows_past_the_length_is_computed_again_in_chunks() {
    assert_eq!(plans(None), ["1:0+3 2:0+2", "1:3+1 2:2+1", "1:4+1 2:3+1", "1:5+1 2:4+1", "1:6+1 2:5+1"]);
    // Request 1 has 6 tokens after its third step, request 2 after its fourth. The one that is over 5 gives way to decodes.
    let expected = ["1:0+3 2:0+2", "1:3+1 2:2+1", "1:4+1 2:3+1", "2:4+1 1:0+4", "1:4+2 2:0+4", "1:6+1 2:4+2"];
    assert_eq!(plans(Some(5)), expected);
}
