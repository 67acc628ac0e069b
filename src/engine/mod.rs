//! The engine: requests in, text out, one step at a time. It is a scheduler that decides, a runner that computes, and streams
//! that turn tokens into text.

pub mod admission;
pub mod device_runner;
pub mod inspect;
pub mod limits;
pub mod loaded_folder;
pub mod philox;
pub mod report;
pub mod runner;
pub mod sampler;
pub mod stream;
mod streams;

pub use device_runner::DeviceRunner;
pub use report::{StepReport, Update};
pub use runner::ModelRunner;

use crate::backend::Backend;
use crate::config::EngineConfig;
use crate::core::request::SamplingParams;
use crate::core::scheduler::Scheduler;
use crate::core::step_plan::StepPlan;
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::{RequestId, TokenId};
use crate::model::ModelConfig;
use crate::text::tokenizer::Tokenizer;
use admission::request_for;
use loaded_folder::LoadedFolder;
use sampler::SampledToken;
use stream::Output;
use streams::{Streams, Updates};

/// Serves requests by continuous batching.
pub struct Engine<R: ModelRunner> {
    scheduler: Scheduler,
    runner: R,
    /// When the runner began: later than the run, if the first one was lost.
    runner_began: Timestamp,
    streams: Streams,
    model: ModelConfig,
    next_id: u64,
    /// A step that was begun before the one before it had ended.
    ahead: Option<BegunStep<R>>,
    async_scheduling: bool,
}

/// An engine that runs a model on a backend.
pub type DeviceEngine<B> = Engine<DeviceRunner<B>>;

/// A step that is being computed.
struct BegunStep<R: ModelRunner> {
    plan: StepPlan,
    sampled: R::Sampled,
}

impl<B: Backend> Engine<DeviceRunner<B>> {
    /// Puts a checked model folder on a backend.
    ///
    /// # Errors
    /// As [`DeviceRunner::new`].
    pub async fn new(backend: B, folder: LoadedFolder, config: EngineConfig) -> Result<Self> {
        let LoadedFolder { config: model, files, tokenizer, .. } = folder;
        let runner = DeviceRunner::new(backend, model.clone(), &files, &config).await?;
        Self::with_runner(runner, model, tokenizer)
    }
}

impl<R: ModelRunner> Engine<R> {
    /// An engine of parts: whatever computes, within its limits, and the model and the tokenizer that requests are checked
    /// and read with.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if a limit cannot work.
    pub fn with_runner(runner: R, model: ModelConfig, tokenizer: Tokenizer) -> Result<Self> {
        let scheduler = Scheduler::new(runner.config().clone())?;
        Ok(Self {
            scheduler: scheduler.recomputing_past(model.rope.longest_short()),
            async_scheduling: runner.overlaps(),
            runner,
            runner_began: Timestamp::ZERO,
            streams: Streams::new(tokenizer),
            model,
            next_id: 0,
            ahead: None,
        })
    }

    /// From now on begins no step before the last one has ended: for those who look at what a step left behind, in the
    /// scheduler, on the device or in [`DeviceRunner::batch`]. What requests get is the same.
    pub fn step_one_by_one(&mut self) {
        self.async_scheduling = false;
    }

    /// Queues a request; its output comes from later steps. Ids count up from 0 in the order of submission.
    /// The model's end-of-sequence tokens end it unless `ignore_eos` is set; a stop text that is a special token means that.
    ///
    /// # Errors
    /// [`Error::RequestRefused`] or [`Error::InvalidOption`] if it can never run; the message has the figures.
    /// [`Error::Tokenizer`] if its prompt has no text.
    pub fn submit(&mut self, prompt_token_ids: Vec<TokenId>, params: SamplingParams) -> Result<RequestId> {
        let id = RequestId(self.next_id);
        let (config, tokenizer) = (self.scheduler.config(), &self.streams.tokenizer);
        let request = request_for(&self.model, config, tokenizer, id, prompt_token_ids, params)?;
        let stream = self.streams.stream_for(request.clone())?;
        self.scheduler.submit(request)?;
        self.streams.open(id, stream);
        self.next_id += 1;
        Ok(id)
    }

    /// Gives a request up; its blocks are free at once. `None` if there is no such request.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the text it had could not be decoded; the request is gone all the same.
    pub fn abort(&mut self, id: RequestId) -> Result<Option<Output>> {
        self.scheduler.abort(id);
        self.streams.abort(id).transpose()
    }

    /// Computes one step: every running request that the token budget reaches gets a token or a chunk of its prompt. While a
    /// device computes it, the next one is planned and begun, where that can be foreseen.
    ///
    /// # Errors
    /// [`Error::Device`] if the device failed. Nothing is lost: the next call computes the same step
    /// again, and reports what was preempted for this one. After [`Error::DeviceLost`] that takes a
    /// new runner first: [`Engine::resume`]. A request whose logits are not finite, or whose text cannot be decoded, is no
    /// error: see [`Update::Failed`].
    pub async fn step(&mut self) -> Result<StepReport> {
        let BegunStep { plan, sampled } = self.take_begun()?;
        let next = if self.async_scheduling { self.scheduler.schedule_ahead(&plan, self.now()) } else { None };
        self.ahead = next.map(|plan| self.begin(plan)).transpose()?;
        let sampled = self.runner.read(sampled).await?;
        let first_not_finite = self.runner.first_not_finite();
        let failed = self.streams.fail_not_finite(&plan, &sampled, first_not_finite, &mut self.scheduler);
        let events = self.scheduler.commit(&plan, &token_ids(&sampled));
        let Updates { events, updates } = self.streams.update(&plan, &sampled, failed, events, &mut self.scheduler);
        Ok(StepReport { plan, end: self.now(), events, updates })
    }

    /// The step begun ahead, unless what happened since calls for another.
    fn take_begun(&mut self) -> Result<BegunStep<R>> {
        match self.ahead.take().filter(|ahead| self.scheduler.is_next(&ahead.plan)) {
            Some(begun) => Ok(begun),
            None => {
                let plan = self.scheduler.schedule(self.now());
                self.begin(plan)
            }
        }
    }

    fn begin(&mut self, plan: StepPlan) -> Result<BegunStep<R>> {
        let sampled = self.runner.begin(&plan, &self.scheduler)?;
        Ok(BegunStep { plan, sampled })
    }

    /// Goes on with a new runner, of the same model and limits, after the old one was lost with its device. Requests that ran
    /// are computed again: they get the tokens that they would have got, and nothing twice. Time goes on, too.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names a limit that is another in the new runner; the old one stays.
    pub fn resume(&mut self, runner: R) -> Result<()> {
        let difference = self.scheduler.config().first_difference(runner.config());
        if let Some((option, expected, value)) = difference {
            let reason = format!("the engine was made for {expected}; make the new runner with the same limits");
            return Err(Error::InvalidOption { option, value, reason });
        }
        self.scheduler.preempt_all();
        self.ahead = None;
        self.runner_began = Timestamp(self.now().0.saturating_sub(runner.now().0));
        self.runner = runner;
        Ok(())
    }

    /// Steps until every request has ended, and returns their outputs in order of id. Of one that failed it
    /// is what it had brought; its `finish_reason` says so.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub async fn run_until_idle(&mut self) -> Result<Vec<Output>> {
        let mut outputs = Vec::new();
        while !self.is_idle() {
            let updates = self.step().await?.updates;
            outputs.extend(updates.into_iter().filter_map(|update| match update {
                Update::Finished { output, .. } | Update::Failed { output, .. } => Some(output),
                Update::Token { .. } | Update::Preempted(_) => None,
            }));
        }
        outputs.sort_by_key(|output| output.id);
        Ok(outputs)
    }

    /// Whether every request has ended.
    pub fn is_idle(&self) -> bool {
        self.scheduler.is_idle()
    }

    /// The scheduler, to look at.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// What computes, to look at.
    pub fn runner(&self) -> &R {
        &self.runner
    }

    /// What computes, to change: not while a step is in flight.
    pub fn runner_mut(&mut self) -> &mut R {
        &mut self.runner
    }

    /// The time since the run began, as plans and reports have it: by the runner's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.runner_began.0 + self.runner.now().0)
    }

    /// The model's shape.
    pub fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// Text to tokens and back.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.streams.tokenizer
    }
}

fn token_ids(sampled: &[SampledToken]) -> Vec<TokenId> {
    sampled.iter().map(|sampled_token| sampled_token.token_id).collect()
}
