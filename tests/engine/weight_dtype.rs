//! Weights of every type. Every machine says the same with the same weights; how many tokens stay the reference's is printed.

use crate::fixtures::{self, EMBEDDED};
use crate::machines::{Check, Cpu, Machine, Machines, ensure};
use cb_lab::config::WeightDtype;
use cb_lab::engine::limits::LimitOptions;
use libtest_mimic::{Failed, Trial};

const DTYPES: [WeightDtype; 5] =
    [WeightDtype::F32, WeightDtype::F16, WeightDtype::Bf16, WeightDtype::Int8, WeightDtype::Int4];

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = Vec::new();
    for name in fixtures::NAMES.into_iter().chain([EMBEDDED]) {
        for dtype in DTYPES {
            let title = format!("weight_dtype/{name} {dtype:?}");
            trials.extend(machines.cpu(&title, move || agrees_with_the_reference(name, dtype)));
            trials.extend(machines.each_gpu(&title, move |gpu| {
                let (twin, got) = (tokens(name, &Cpu, dtype)?, tokens(name, gpu, dtype)?);
                ensure!(twin == got, "{} of {} tokens are the twin's", common(&twin, &got), len(&twin));
                Ok(())
            }));
        }
    }
    trials.extend(machines.all("weight_dtype/fewer bits take less memory", LessMemory));
    trials
}

/// Nothing is rounded in f32. Whatever the type, there is a text, and some of it is the reference's.
fn agrees_with_the_reference(name: &str, dtype: WeightDtype) -> Result<(), Failed> {
    let golden: Vec<Vec<u32>> = fixtures::golden_cases(name).into_iter().map(|case| case.token_ids).collect();
    let said = tokens(name, &Cpu, dtype)?;
    let (same, all) = (common(&golden, &said), len(&golden));
    eprintln!("{name}, {dtype:?}: {same} of {all} tokens before the first other one are the reference's");
    ensure!(dtype != WeightDtype::F32 || same == all, "{same} of {all} tokens are the reference's");
    ensure!(same > 0, "no token is the reference's");
    Ok(())
}

fn tokens<M: Machine>(name: &str, machine: &M, weight_dtype: WeightDtype) -> Result<Vec<Vec<u32>>, Failed> {
    let limits = LimitOptions { weight_dtype, ..LimitOptions::default() };
    let mut engine = fixtures::engine(name, machine.open()?, &limits);
    for case in fixtures::golden_cases(name) {
        engine.submit(case.prompt_token_ids.clone(), case.params())?;
    }
    let outputs = pollster::block_on(engine.run_until_idle())?;
    for output in &outputs {
        ensure!(
            output.logprobs.iter().all(|logprob| logprob.is_finite()),
            "{dtype:?}: no number",
            dtype = weight_dtype
        );
    }
    Ok(outputs.into_iter().map(|output| output.token_ids).collect())
}

/// Tokens of all texts before the first other one of each.
fn common(expected: &[Vec<u32>], got: &[Vec<u32>]) -> usize {
    let pairs = expected.iter().zip(got);
    pairs.map(|(expected, got)| expected.iter().zip(got).take_while(|(a, b)| a == b).count()).sum()
}

fn len(texts: &[Vec<u32>]) -> usize {
    texts.iter().map(Vec::len).sum()
}

#[derive(Clone)]
struct LessMemory;

impl Check for LessMemory {
    /// The plan, which is also what is taken. The CPU computes with f32, and keeps that.
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let bytes = |weight_dtype| -> Result<u64, Failed> {
            let limits = LimitOptions { weight_dtype, ..LimitOptions::default() };
            let engine = fixtures::engine("smollm2", machine.open()?, &limits);
            ensure!(engine.memory().peak_bytes == engine.planned_memory().bytes(), "{weight_dtype:?}: not as planned");
            Ok(engine.planned_memory().weights_bytes)
        };
        let [f32, f16, bf16, int8, int4] = DTYPES.map(bytes);
        let (f32, f16, bf16, int8, int4) = (f32?, f16?, bf16?, int8?, int4?);
        if M::EXACT {
            ensure!([f16, bf16, int8, int4] == [f32; 4], "the CPU keeps something else than f32");
        } else {
            ensure!(f32 > f16 && f16 == bf16 && bf16 > int8 && int8 > int4, "{f32} {f16} {bf16} {int8} {int4} bytes");
        }
        Ok(())
    }
}
