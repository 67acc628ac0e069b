//! K and V in halves: half the memory, and on these models, whose tokens are far enough apart, still transformers' tokens,
//! though that keeps K and V in f32. How many agree is printed; another model may differ where two tokens are close.

use crate::fixtures::{self, EMBEDDED};
use crate::machines::{Check, Machine, Machines, ensure};
use cb_lab::config::KvDtype;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::model::memory_plan::MemoryPlan;
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let names = fixtures::NAMES.into_iter().chain([EMBEDDED]);
    let mut trials: Vec<Trial> =
        names.flat_map(|name| machines.all(&format!("kv_f16/{name}"), GoldenCases(name))).collect();
    trials.extend(machines.cpu("kv_f16/half the memory", half_the_memory));
    trials
}

#[derive(Clone)]
struct GoldenCases(&'static str);

impl Check for GoldenCases {
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let limits = LimitOptions { kv_dtype: KvDtype::F16, ..LimitOptions::default() };
        let mut engine = fixtures::engine(self.0, machine.open()?, &limits);
        let cases = fixtures::golden_cases(self.0);
        for case in &cases {
            engine.submit(case.prompt_token_ids.clone(), case.params())?;
        }
        let outputs = pollster::block_on(engine.run_until_idle())?;
        ensure!(outputs.len() == cases.len(), "{} of {} cases ended", outputs.len(), cases.len());
        let (mut same, mut all) = (0, 0);
        for (case, output) in cases.iter().zip(&outputs) {
            ensure!(output.logprobs.iter().all(|logprob| logprob.is_finite()), "{}: no number", case.name);
            // After the first other token the texts are different ones.
            same += case.token_ids.iter().zip(&output.token_ids).take_while(|(expected, got)| expected == got).count();
            all += case.token_ids.len();
        }
        eprintln!("{}: {same} of {all} tokens before the first other one are those of K and V in f32", self.0);
        ensure!(same == all, "{same} of {all} tokens are transformers'");
        Ok(())
    }
}

/// The plan says so, and it is what the decoder takes: see `memory`.
fn half_the_memory() -> Result<(), Failed> {
    let model = fixtures::load("llama").config;
    let kv_bytes = |kv_dtype| -> Result<usize, Failed> {
        let limits = LimitOptions { kv_dtype, num_kv_blocks: Some(64), ..LimitOptions::default() };
        let limits = limits.resolve(&model, usize::MAX)?;
        Ok(MemoryPlan::new(&model, &limits, usize::MAX)?.kv_pool)
    };
    ensure!(kv_bytes(KvDtype::F32)? == 2 * kv_bytes(KvDtype::F16)?, "halves do not take half");
    Ok(())
}
