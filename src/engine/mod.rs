//! The engine: requests in, text out, one step at a time.

pub mod admission;
pub mod inspect;
pub mod limits;
pub mod loaded_folder;
pub mod philox;
pub mod record;
pub mod sampler;
pub mod stream;

use crate::backend::Backend;
use crate::backend::memory_tracker::MemoryUse;
use crate::backend::params::SamplingInput;
use crate::config::EngineConfig;
use crate::core::batch_builder::RaggedBatch;
use crate::core::request::{FinishReason, SamplingParams};
use crate::core::scheduler::Scheduler;
use crate::core::step_plan::{Event, StepPlan};
use crate::error::{Error, Result};
use crate::ids::{RequestId, TokenId};
use crate::model::decoder::Decoder;
use crate::model::memory_plan::{MemoryPlan, PlannedMemory};
use crate::model::weights::Weights;
use crate::model::{ModelConfig, TensorTable};
use crate::text::tokenizer::Tokenizer;
use admission::request_for;
use loaded_folder::LoadedFolder;
use sampler::{SampledToken, Sampler};
use std::collections::BTreeMap;
use stream::{Output, Pushed, Stream};

/// Serves requests by continuous batching on one backend.
pub struct Engine<B: Backend> {
    backend: B,
    decoder: Decoder<B>,
    sampler: Sampler<B>,
    scheduler: Scheduler,
    batch: RaggedBatch,
    tokenizer: Tokenizer,
    streams: BTreeMap<RequestId, Stream>,
    next_id: u64,
    planned_memory: PlannedMemory,
    /// A step that was begun before the one before it had ended.
    ahead: Option<BegunStep<B>>,
    steps_ahead: bool,
}

/// A step that the device computes, or has computed.
struct BegunStep<B: Backend> {
    plan: StepPlan,
    num_running: usize,
    num_waiting: usize,
    num_free_blocks: usize,
    sampled_tokens: B::Readback,
}

/// What a step brought, for people and programs that watch.
#[derive(Debug)]
pub struct StepReport {
    /// What the step computed.
    pub plan: StepPlan,
    /// Sequences that held blocks while it was computed.
    pub num_running: usize,
    /// Requests that waited.
    pub num_waiting: usize,
    /// Blocks nobody held.
    pub num_free_blocks: usize,
    /// What came of it, in the order of the plan.
    pub updates: Vec<Update>,
}

/// News of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// It got a token.
    Token {
        /// The request.
        id: RequestId,
        /// The token.
        token_id: TokenId,
        /// Text that is now certain: often the token's own, sometimes nothing, sometimes that of several tokens.
        text: String,
    },
    /// It ended.
    Finished {
        /// Text that was held back, in case it had become part of a stop text.
        rest: String,
        /// All it brought.
        output: Output,
    },
    /// It ended because its text could not be decoded. Others go on.
    Failed {
        /// What it had brought.
        output: Output,
        /// The sentence of the error.
        reason: String,
    },
    /// It lost its blocks, to an older request or because it grew past the length at which its angles change, and will be
    /// computed again. What it has given out stays.
    Preempted(RequestId),
}

impl<B: Backend> Engine<B> {
    /// Puts a checked model folder on a backend.
    ///
    /// # Errors
    /// A limit that does not fit the device, before any of its memory is taken; a file that cannot be read any more; a
    /// device without memory.
    pub async fn new(mut backend: B, folder: LoadedFolder, config: EngineConfig) -> Result<Self> {
        let LoadedFolder { config: model, files, tokenizer, .. } = folder;
        limits::check(&model, &config)?;
        let plan = MemoryPlan::new(&model, &config, backend.max_buffer_words())?;
        let planned_memory = plan.on(&backend, &model, &files, &config)?;
        let scheduler = Scheduler::new(config.clone())?.recomputing_past(model.rope.longest_short());
        let weights = Weights::load(&mut backend, &files, &TensorTable::new(&model), config.weight_dtype).await?;
        let decoder = Decoder::new(&mut backend, model, &config, &plan, weights).await?;
        let sampler = Sampler::new(&mut backend, &plan)?;
        let (batch, streams, steps_ahead) = (RaggedBatch::default(), BTreeMap::new(), backend.overlaps());
        Ok(Self {
            backend,
            decoder,
            sampler,
            scheduler,
            batch,
            tokenizer,
            streams,
            next_id: 0,
            ahead: None,
            steps_ahead,
            planned_memory,
        })
    }

    /// From now on begins no step before the last one has ended: for those who look at what a step left behind, in the
    /// scheduler, on the device or in [`Engine::batch`]. What requests get is the same.
    pub fn step_one_by_one(&mut self) {
        self.steps_ahead = false;
    }

    /// Queues a request; its output comes from later steps. Ids count up from 0 in the order of submission.
    /// The model's end-of-sequence tokens end it unless `ignore_eos` is set.
    ///
    /// # Errors
    /// [`Error::RequestRefused`] or [`Error::InvalidOption`] if it can never run; the message has the figures.
    pub fn submit(&mut self, prompt_token_ids: Vec<TokenId>, params: SamplingParams) -> Result<RequestId> {
        let id = RequestId(self.next_id);
        let request = request_for(self.decoder.model(), id, prompt_token_ids, params)?;
        self.scheduler.submit(request.clone())?;
        self.streams.insert(id, Stream::new(request));
        self.next_id += 1;
        Ok(id)
    }

    /// Gives a request up; its blocks are free at once. `None` if there is no such request.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the text it had could not be decoded; the request is gone all the same.
    pub fn abort(&mut self, id: RequestId) -> Result<Option<Output>> {
        self.scheduler.abort(id);
        let Some(mut stream) = self.streams.remove(&id) else { return Ok(None) };
        let (_, reason) = stream.end(FinishReason::Abort, &self.tokenizer)?;
        Ok(Some(stream.into_output(reason)))
    }

    /// Computes one step: every running request that the token budget reaches gets a token or a chunk of its prompt.
    ///
    /// # Errors
    /// [`Error::Device`] if the device failed. Nothing is lost: the next call computes the same step again, and reports
    /// what was preempted for this one. A request whose text cannot be decoded is no error: see [`Update::Failed`].
    pub async fn step(&mut self) -> Result<StepReport> {
        let step = match self.begun_ahead() {
            Some(step) => step,
            None => {
                let plan = self.scheduler.schedule();
                self.begin(plan)?
            }
        };
        // While the device computes this step, it is told the next one, where that can be foreseen.
        let next = if self.steps_ahead { self.scheduler.schedule_ahead(&step.plan) } else { None };
        let next = match next.map(|plan| self.begin(plan)).transpose() {
            Ok(next) => next,
            Err(error) => {
                self.backend.discard(step.sampled_tokens);
                return Err(error);
            }
        };
        let BegunStep { plan, num_running, num_waiting, num_free_blocks, sampled_tokens } = step;
        let sampled_tokens = match self.sampler.read(&mut self.backend, sampled_tokens).await {
            Ok(sampled_tokens) => sampled_tokens,
            Err(error) => {
                next.into_iter().for_each(|step| self.backend.discard(step.sampled_tokens));
                return Err(error);
            }
        };
        let token_ids: Vec<TokenId> = sampled_tokens.iter().map(|sampled_token| sampled_token.token_id).collect();
        let events = self.scheduler.commit(&plan, &token_ids);
        let updates = self.stream(&plan, &events, &sampled_tokens);
        self.ahead = next;
        Ok(StepReport { plan, num_running, num_waiting, num_free_blocks, updates })
    }

    /// The step that was begun before the last one had ended, unless all of its requests have ended since.
    fn begun_ahead(&mut self) -> Option<BegunStep<B>> {
        let step = self.ahead.take()?;
        if step.plan.rows.iter().any(|row| self.scheduler.get(row.id).is_some()) {
            return Some(step);
        }
        self.backend.discard(step.sampled_tokens);
        None
    }

    /// Has the device compute a plan: its batch, the logits, and a sampled token for each row that samples.
    fn begin(&mut self, plan: StepPlan) -> Result<BegunStep<B>> {
        let (num_running, num_waiting) = (self.scheduler.num_running(), self.scheduler.num_waiting());
        let num_free_blocks = self.scheduler.num_free_blocks();
        self.batch.build_into(&plan, &self.scheduler);
        let logits = self.decoder.forward(&mut self.backend, &self.batch, self.sampler.sampled_tokens());
        let sampling_inputs = sampling_inputs(&plan, &self.scheduler);
        let sampled_tokens = self.sampler.submit(&mut self.backend, &logits, &sampling_inputs)?;
        Ok(BegunStep { plan, num_running, num_waiting, num_free_blocks, sampled_tokens })
    }

    /// Steps until every request has ended, and returns their outputs in order of id. Of one whose text could not be
    /// decoded it is what it had brought; its `finish_reason` says so.
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

    /// The model's shape.
    pub fn model(&self) -> &ModelConfig {
        self.decoder.model()
    }

    /// The token table of the step that was begun last, to look at.
    pub fn batch(&self) -> &RaggedBatch {
        &self.batch
    }

    /// What was planned before any device memory was taken. [`Backend::memory`] says what was taken.
    pub fn planned_memory(&self) -> PlannedMemory {
        self.planned_memory
    }

    /// What the backend holds now, and has held at most.
    pub fn memory(&self) -> MemoryUse {
        self.backend.memory()
    }

    /// Text to tokens and back.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The decoder and its backend, for tests that look at or poison the KV pools.
    pub fn device_mut(&mut self) -> (&mut Decoder<B>, &mut B) {
        (&mut self.decoder, &mut self.backend)
    }

    /// Turns events into text for whoever asked, and ends requests whose text reached a stop text or cannot be decoded.
    fn stream(&mut self, plan: &StepPlan, events: &[Event], sampled_tokens: &[SampledToken]) -> Vec<Update> {
        // Events come in the order of the plan's rows, so each search goes on where the last one ended.
        let mut sampled = plan.rows.iter().filter(|row| row.samples).zip(sampled_tokens);
        let mut updates = Vec::with_capacity(events.len());
        for event in events {
            match *event {
                Event::Preempted { id } => updates.push(Update::Preempted(id)),
                Event::Token { id, token_id } => {
                    let sampled_token = sampled.find(|(row, _)| row.id == id).map(|(_, sampled_token)| *sampled_token);
                    let (Some(stream), Some(sampled_token)) = (self.streams.get_mut(&id), sampled_token) else {
                        continue;
                    };
                    match stream.push(sampled_token, &self.tokenizer) {
                        Ok(Pushed::Text(text)) => updates.push(Update::Token { id, token_id, text }),
                        Ok(Pushed::Stopped(rest)) => {
                            self.scheduler.finish(id, FinishReason::Stop);
                            updates.extend(self.finish(id, FinishReason::Stop, rest));
                        }
                        Err(error) => {
                            self.scheduler.finish(id, FinishReason::Error);
                            updates.extend(self.streams.remove(&id).map(|stream| failed(stream, &error)));
                        }
                    }
                }
                // Already gone if its last token completed a stop text, or could not be decoded.
                Event::Finished { id, reason } => updates.extend(self.finish(id, reason, String::new())),
            }
        }
        updates
    }

    fn finish(&mut self, id: RequestId, reason: FinishReason, rest: String) -> Option<Update> {
        let mut stream = self.streams.remove(&id)?;
        Some(match stream.end(reason, &self.tokenizer) {
            Ok((more, reason)) => Update::Finished { rest: rest + &more, output: stream.into_output(reason) },
            Err(error) => failed(stream, &error),
        })
    }
}

fn failed(stream: Stream, error: &Error) -> Update {
    Update::Failed { output: stream.into_output(FinishReason::Error), reason: error.to_string() }
}

/// What the sampler is to do for each row that samples, in the order of the plan.
fn sampling_inputs(plan: &StepPlan, scheduler: &Scheduler) -> Vec<SamplingInput> {
    let sampling = plan.rows.iter().filter(|row| row.samples);
    sampling
        .map(|row| {
            let request = scheduler.sequence(row.seq_idx).request();
            let num_outputs = row.seq_len() - request.prompt_token_ids.len();
            sampler::input(&request.params, num_outputs as u64)
        })
        .collect()
}
