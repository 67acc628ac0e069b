//! Weights of every type. Every machine says the same with the same weights; how many tokens stay transformers' is printed.

use crate::fixtures::{self, EMBEDDED};
use crate::gpu::Gpu;
use crate::machines::{Check, Cpu, Machine, Machines, ensure};
use cb_lab::backend::Backend;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::kernel_set::KernelSet;
use cb_lab::config::WeightDtype;
use cb_lab::engine::DeviceEngine;
use cb_lab::engine::limits::LimitOptions;
use cb_lab::engine::stream::Output;
use libtest_mimic::{Failed, Trial};

const DTYPES: [WeightDtype; 5] =
    [WeightDtype::F32, WeightDtype::F16, WeightDtype::Bf16, WeightDtype::Int8, WeightDtype::Int4];

/// The types that hold all weights of a checkpoint.
const LOSSLESS: [(&str, &[WeightDtype]); 7] = [
    ("llama", &[WeightDtype::F32, WeightDtype::F16]),
    ("llama3", &[WeightDtype::F32, WeightDtype::Bf16]),
    ("smollm2", &[WeightDtype::F32, WeightDtype::Bf16]),
    ("mistral", &[WeightDtype::F32, WeightDtype::Bf16]),
    ("qwen2", &[WeightDtype::F32]),
    ("qwen3", &[WeightDtype::F32, WeightDtype::F16]),
    (EMBEDDED, &[WeightDtype::F32, WeightDtype::Bf16]),
];

/// Log-probabilities of two machines differ by less: golden's bound.
const CLOSE: f32 = 1e-3;

pub fn trials(machines: &Machines) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, lossless) in LOSSLESS {
        for dtype in DTYPES {
            let title = format!("weight_dtype/{name} {dtype:?}");
            trials.extend(machines.cpu(&title, move || agrees_with_the_reference(name, dtype, lossless)));
            trials.extend(
                machines.each_gpu(&title, move |gpu| agree(&outputs(name, &Cpu, dtype)?, &outputs(name, gpu, dtype)?)),
            );
        }
    }
    trials.extend(machines.gpus("weight_dtype/naive kernels", naive));
    trials.extend(machines.all("weight_dtype/fewer bits take less memory", LessMemory));
    trials
}

/// All tokens, where nothing is rounded. Else some: the first tokens of these models are far apart.
fn agrees_with_the_reference(name: &str, dtype: WeightDtype, lossless: &[WeightDtype]) -> Result<(), Failed> {
    let (mut same, mut all) = (0, 0);
    for (case, said) in fixtures::golden_cases(name).iter().zip(outputs(name, &Cpu, dtype)?) {
        same += case.token_ids.iter().zip(&said.token_ids).take_while(|(expected, got)| expected == got).count();
        all += case.token_ids.len();
    }
    eprintln!("{name}, {dtype:?}: {same} of {all} tokens before the first other one are transformers'");
    let least = match dtype {
        _ if lossless.contains(&dtype) => all,
        WeightDtype::Int4 => 1,
        // 44 % is the least of today; weights of another scale or of another place would leave next to nothing.
        _ => all * 2 / 5,
    };
    ensure!(same >= least, "{same} of {all} tokens are transformers', and not {least}");
    Ok(())
}

/// The same tokens, or others that were as probable: there the two may part.
fn agree(expected: &[Output], got: &[Output]) -> Result<(), Failed> {
    ensure!(expected.len() == got.len(), "{} and {} outputs", expected.len(), got.len());
    for (expected, got) in expected.iter().zip(got) {
        let same = expected.token_ids.iter().zip(&got.token_ids).take_while(|(a, b)| a == b).count();
        let compared = expected.logprobs.iter().zip(&got.logprobs).take(same + 1);
        for (place, (a, b)) in compared.enumerate() {
            let is_close = (a - b).abs() < CLOSE;
            ensure!(is_close, "token {place} of {:?}: log-probabilities {a} and {b}", expected.id);
        }
    }
    Ok(())
}

/// Whose rows lie one by one.
fn naive(gpu: &Gpu) -> Result<(), Failed> {
    for dtype in [WeightDtype::Int8, WeightDtype::Int4] {
        let options = GpuOptions { kernels: KernelSet::Naive, ..GpuOptions::default() };
        let limits = LimitOptions { weight_dtype: dtype, ..crate::abort::TIGHT };
        let mut on_gpu = fixtures::engine("smollm2", gpu.open(options)?, &limits);
        let mut on_cpu = fixtures::engine("smollm2", Cpu.open()?, &limits);
        agree(&run("smollm2", &mut on_cpu)?, &run("smollm2", &mut on_gpu)?)?;
    }
    Ok(())
}

fn outputs<M: Machine>(name: &str, machine: &M, weight_dtype: WeightDtype) -> Result<Vec<Output>, Failed> {
    let limits = LimitOptions { weight_dtype, ..LimitOptions::default() };
    run(name, &mut fixtures::engine(name, machine.open()?, &limits))
}

fn run<B: Backend>(name: &str, engine: &mut DeviceEngine<B>) -> Result<Vec<Output>, Failed> {
    for case in fixtures::golden_cases(name) {
        if case.prompt_token_ids.len() + case.token_ids.len() + 3 <= engine.scheduler().config().max_model_len {
            engine.submit(case.prompt_token_ids.clone(), case.params())?;
        }
    }
    let outputs = pollster::block_on(engine.run_until_idle())?;
    ensure!(!outputs.is_empty(), "{name} has no case for these limits");
    for output in &outputs {
        ensure!(output.logprobs.iter().all(|logprob| logprob.is_finite()), "{:?}: no number", output.id);
    }
    Ok(outputs)
}

#[derive(Clone)]
struct LessMemory;

impl Check for LessMemory {
    /// The plan, which is also what is taken.
    fn run<M: Machine>(&self, machine: &M) -> Result<(), Failed> {
        let bytes = |weight_dtype| -> Result<u64, Failed> {
            let limits = LimitOptions { weight_dtype, ..LimitOptions::default() };
            let engine = fixtures::engine("smollm2", machine.open()?, &limits);
            ensure!(
                engine.runner().memory().peak_bytes == engine.runner().planned_memory().bytes(),
                "{weight_dtype:?}: not as planned"
            );
            Ok(engine.runner().planned_memory().weights_bytes)
        };
        let [f32, f16, bf16, int8, int4] = DTYPES.map(bytes);
        let (f32, f16, bf16, int8, int4) = (f32?, f16?, bf16?, int8?, int4?);
        ensure!(f32 > f16 && f16 == bf16 && bf16 > int8 && int8 > int4, "{f32} {f16} {bf16} {int8} {int4} bytes");
        Ok(())
    }
}
