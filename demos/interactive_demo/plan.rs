//! What is to be run: limits, and who comes and goes when. A run follows from it, so that going back, or changing the
//! past, is running it again.

use crate::common::scenario::Scenario;
use crate::common::{Lab, Limits, Outcome, Sampling};
use cb_lab::RequestId;
use cb_lab::backend::Backend;
use cb_lab::observe::{Entry, Recording};

/// Of a run. A user who turns knobs waits for all of them.
pub const MAX_STEPS: usize = 500;

#[derive(Clone)]
pub struct Plan {
    pub limits: Limits,
    pub sampling: Sampling,
    /// In the order they come: the first is request 0.
    pub requests: Vec<Planned>,
    /// What `add` adds.
    pub next: NextRequest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    pub prompt_len: usize,
    pub max_new_tokens: usize,
    /// Steps before it comes. It comes earlier if all others have ended.
    pub arrives_after: usize,
    /// Steps before it is given up, unless it has ended by then.
    pub aborted_after: Option<usize>,
}

#[derive(Clone, Copy)]
pub struct NextRequest {
    pub prompt_len: usize,
    pub max_new_tokens: usize,
}

impl Plan {
    pub fn new(scenario: &Scenario) -> Self {
        let Scenario { requests, sampling, arrival_gap, .. } = scenario;
        let planned = (0..requests.requests).map(|nth| Planned {
            prompt_len: requests.prompt_len(nth),
            max_new_tokens: requests.max_new_tokens,
            arrives_after: nth * arrival_gap,
            aborted_after: None,
        });
        Self {
            limits: scenario.limits(),
            sampling: sampling.clone(),
            requests: planned.collect(),
            next: NextRequest { prompt_len: 8, max_new_tokens: 8 },
        }
    }

    /// Runs it to its end, or for [`MAX_STEPS`].
    pub fn record<B: Backend>(&self, backend: B) -> Outcome<Recording> {
        let mut lab = Lab::new(backend, &self.limits)?;
        let mut coming = self.requests.iter().peekable();
        for num_steps in 0..MAX_STEPS {
            while let Some(next) = coming.next_if(|next| next.arrives_after <= num_steps || lab.engine.is_idle()) {
                lab.submit(next.prompt_len, next.max_new_tokens, Some(&self.sampling))?;
            }
            for (id, request) in (0..).zip(&self.requests) {
                if request.aborted_after == Some(num_steps) {
                    lab.abort(RequestId(id))?;
                }
            }
            if lab.engine.is_idle() && coming.peek().is_none() {
                break;
            }
            lab.run_steps(1)?;
        }
        Ok(lab.recording)
    }

    /// Notes when requests really came in a run of this plan.
    pub fn settle(&mut self, recording: &Recording) {
        let mut num_steps = 0;
        let mut requests = self.requests.iter_mut();
        for entry in recording.entries() {
            match entry {
                Entry::Step(_) => num_steps += 1,
                Entry::Submitted(_) => {
                    if let Some(request) = requests.next() {
                        request.arrives_after = num_steps;
                    }
                }
                Entry::Run(_) | Entry::Aborted(_) => {}
            }
        }
    }

    /// Lets one more request come after so many steps. Those that come later get other numbers.
    pub fn add(&mut self, num_steps: usize) -> RequestId {
        let NextRequest { prompt_len, max_new_tokens } = self.next;
        let request = Planned { prompt_len, max_new_tokens, arrives_after: num_steps, aborted_after: None };
        let place = self.requests.partition_point(|other| other.arrives_after <= num_steps);
        self.requests.insert(place, request);
        RequestId(place as u64)
    }
}
