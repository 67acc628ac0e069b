//! From tokens to text, for all requests that have not ended.

use super::report::Update;
use super::sampler::SampledToken;
use super::stream::{Output, Pushed, Stream};
use crate::core::request::{FinishReason, Request};
use crate::core::scheduler::Scheduler;
use crate::core::step_plan::{Event, StepPlan};
use crate::error::{Error, Result};
use crate::ids::RequestId;
use crate::text::tokenizer::Tokenizer;
use std::collections::BTreeMap;

/// The stream of each request.
pub(super) struct Streams {
    pub tokenizer: Tokenizer,
    streams: BTreeMap<RequestId, Stream>,
}

/// What became of a step's requests.
pub(super) struct Updates {
    pub events: Vec<Event>,
    pub updates: Vec<Update>,
}

impl Streams {
    pub fn new(tokenizer: Tokenizer) -> Self {
        Self { tokenizer, streams: BTreeMap::new() }
    }

    /// The stream of a request that has no output yet.
    pub fn stream_for(&self, request: Request) -> Result<Stream> {
        Stream::new(request, &self.tokenizer)
    }

    pub fn open(&mut self, id: RequestId, stream: Stream) {
        self.streams.insert(id, stream);
    }

    /// What a request that was given up had brought. `None` if there is no such request.
    pub fn abort(&mut self, id: RequestId) -> Option<Result<Output>> {
        let mut stream = self.streams.remove(&id)?;
        Some(stream.end(FinishReason::Abort, &self.tokenizer).map(|(_, reason)| stream.into_output(reason)))
    }

    /// Ends the requests whose logits give no token a probability. To be called before the step is committed, which then
    /// passes over them.
    pub fn fail_not_finite(
        &mut self,
        plan: &StepPlan,
        sampled: &[SampledToken],
        first: Option<String>,
        scheduler: &mut Scheduler,
    ) -> Updates {
        let (mut events, mut updates) = (Vec::new(), Vec::new());
        let rows = plan.rows.iter().filter(|row| row.samples).zip(sampled);
        for (row, _) in rows.filter(|(_, sampled_token)| sampled_token.logprob.is_nan()) {
            // Some may have ended since the plan was made.
            let Some(stream) = self.streams.remove(&row.id) else { continue };
            let error = Error::NotFinite { step: plan.step, token: stream.len(), first: first.clone() };
            events.extend(scheduler.finish(row.id, FinishReason::Error));
            updates.push(failed(stream, &error));
        }
        Updates { events, updates }
    }

    /// Turns the events of a commit into text for whoever asked, and ends requests whose text reached a stop text or cannot be
    /// decoded. Their events come behind those of the commit, and last those of the requests that failed before it.
    pub fn update(
        &mut self,
        plan: &StepPlan,
        sampled: &[SampledToken],
        failed_before: Updates,
        mut events: Vec<Event>,
        scheduler: &mut Scheduler,
    ) -> Updates {
        // Events come in the order of the plan's rows, so each search goes on where the last one ended.
        let mut sampled = plan.rows.iter().filter(|row| row.samples).zip(sampled);
        let mut updates = failed_before.updates;
        let mut ended = Vec::new();
        for event in &events {
            match *event {
                Event::Preempted { id } | Event::Outgrown { id } => updates.push(Update::Preempted(id)),
                Event::Token { id, token_id } => {
                    let sampled_token = sampled.find(|(row, _)| row.id == id).map(|(_, sampled_token)| *sampled_token);
                    let (Some(stream), Some(sampled_token)) = (self.streams.get_mut(&id), sampled_token) else {
                        continue;
                    };
                    match stream.push(sampled_token, &self.tokenizer) {
                        Ok(Pushed::Text(text)) => updates.push(Update::Token { id, token_id, text }),
                        Ok(Pushed::Stopped(rest)) => {
                            ended.extend(scheduler.finish(id, FinishReason::Stop));
                            updates.extend(self.finish(id, FinishReason::Stop, rest));
                        }
                        Err(error) => {
                            ended.extend(scheduler.finish(id, FinishReason::Error));
                            updates.extend(self.streams.remove(&id).map(|stream| failed(stream, &error)));
                        }
                    }
                }
                // Already gone if its last token completed a stop text, or could not be decoded.
                Event::Finished { id, reason } => updates.extend(self.finish(id, reason, String::new())),
            }
        }
        events.extend(ended.into_iter().chain(failed_before.events));
        Updates { events, updates }
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
