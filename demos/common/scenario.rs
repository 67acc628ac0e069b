//! Requests that come one after the other, and too little memory for all: the run that several demos show.

use super::{Lab, Limits, Outcome, Requests, Sampling};
use cb_lab::backend::Backend;
use cb_lab::observe::Recording;

/// Too few for all at a time, so that somebody is preempted.
const POOL_TOKENS: usize = 48;

#[derive(clap::Args)]
pub struct Scenario {
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub requests: Requests,
    #[command(flatten)]
    pub sampling: Sampling,
    /// Steps from one request's arrival to the next one's
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub arrival_gap: usize,
}

impl Scenario {
    /// The limits, with the scenario's own pool if none was asked for.
    pub fn limits(&self) -> Limits {
        self.limits.with_pool_for(POOL_TOKENS)
    }

    /// Submits all requests to a lab and runs them to their ends.
    pub fn record<B: Backend>(&self, mut lab: Lab<B>) -> Outcome<Recording> {
        for nth in 0..self.requests.requests {
            lab.submit(self.requests.prompt_len(nth), self.requests.max_new_tokens, Some(&self.sampling))?;
            lab.run_steps(self.arrival_gap)?;
        }
        lab.run_steps(usize::MAX)?;
        Ok(lab.recording)
    }
}
