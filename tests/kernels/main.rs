//! Every kernel against its twin on the same inputs, a trial for each case and adapter; the fast kernels of the CPU against
//! the same, bit for bit; every twin against its oracle, the formula in f64; mutants of
//! every kernel, which the cases must catch; and what can be said of the WGSL without a GPU.
//!
//! `CB_LAB_GPU=require` makes a missing adapter a failure, `CB_LAB_GPU=skip` uses none. Otherwise trials without an
//! adapter are *ignored*, never passed. `CB_LAB_MARGINS=1` prints how much of its tolerance each case uses.
//! `CB_LAB_SHADERS=shaders` takes kernels from the WGSL files as they are now, without building anything.

#[path = "../common/gpu.rs"]
mod gpu;
#[path = "../common/rng.rs"]
mod rng;

mod attention;
mod harness;
mod layouts;
mod mutants;
mod teams;
mod translate;
mod tuning;

mod embed_tokens;
mod gated_linear;
mod gather_rows;
mod linear;
mod merge_splits;
mod paged_attention;
mod ragged_attention;
mod rms_norm;
mod rope_store_kv;
mod sample;

use cb_lab::backend::cpu::InstructionSet;
use cb_lab::backend::gpu::Kernel;
use gpu::on_each;
use harness::{AnyCase, Cases, Gpu, check};
use libtest_mimic::{Arguments, Trial};
use std::sync::Arc;

/// The cases of a kernel, the sharpest first: mutants try them in order until one fails.
fn cases_of(kernel: Kernel) -> Cases {
    match kernel {
        Kernel::EmbedTokens => embed_tokens::cases(),
        Kernel::RmsNorm => rms_norm::cases(),
        Kernel::Linear => linear::cases(),
        Kernel::LinearInterleaved => linear::few_rows_cases(),
        Kernel::LinearSplit => linear::split_cases(),
        Kernel::LinearTiles => linear::many_rows_cases(),
        Kernel::GatedLinear => gated_linear::cases(),
        Kernel::GatedLinearInterleaved => gated_linear::few_rows_cases(),
        Kernel::GatedLinearSplit => gated_linear::split_cases(),
        Kernel::GatedLinearTiles => gated_linear::many_rows_cases(),
        Kernel::RopeStoreKv => rope_store_kv::cases(),
        Kernel::RaggedAttention => ragged_attention::cases(),
        Kernel::RaggedAttentionSubgroup => ragged_attention::lanes_cases(),
        Kernel::PagedAttention => paged_attention::cases(),
        Kernel::PagedAttentionSubgroup => paged_attention::lanes_cases(),
        Kernel::MergeSplits => merge_splits::cases(),
        Kernel::GatherRows => gather_rows::cases(),
        Kernel::Sample => sample::cases(),
    }
}

fn main() {
    let args = Arguments::from_args();
    let (gpus, missing, required) = gpu::wanted();
    let mut trials = Vec::from_iter(required);
    for kernel in Kernel::ALL {
        let name = kernel.source().name;
        // The other versions have these shapes, too.
        let judges_the_cpu = !matches!(kernel, Kernel::LinearSplit | Kernel::GatedLinearSplit);
        for case in cases_of(kernel) {
            if judges_the_cpu {
                trials.extend(twin_trial(name, &case));
            }
            if judges_the_cpu && has_fast_version(kernel.naive()) {
                trials.extend(fast_trials(name, &case));
            }
            trials.extend(on_each(&gpus, missing, &format!("{name}/{}", case.title()), move |gpu| check(gpu, &*case)));
        }
        if let Kernel::LinearTiles | Kernel::GatedLinearTiles = kernel {
            let tuned = move |gpu: &Gpu| tuning::changes_no_bit(gpu, kernel);
            trials.extend(on_each(&gpus, missing, &format!("{name}/tuning changes no bit"), tuned));
        }
        if let Kernel::RaggedAttentionSubgroup | Kernel::PagedAttentionSubgroup = kernel {
            let tuned = move |gpu: &Gpu| tuning::is_right_for_hardware(gpu, kernel);
            trials.extend(on_each(&gpus, missing, &format!("{name}/all cases as tuned for hardware"), tuned));
            let software: Vec<Arc<Gpu>> = gpus.iter().filter(|gpu| gpu.software).map(Arc::clone).collect();
            let teams = move |gpu: &Gpu| teams::all_cases(gpu, kernel);
            trials.extend(on_each(&software, "no software adapter", &format!("{name}/larger teams"), teams));
            let mutants = move |gpu: &Gpu| teams::mutants_are_caught(gpu, kernel);
            trials.extend(on_each(
                &software,
                "no software adapter",
                &format!("{name}/mutants of larger teams"),
                mutants,
            ));
        }
    }
    let other = "linear_tiles/a text from outside runs with any tuning";
    trials.extend(on_each(&gpus, missing, other, tuning::takes_other_texts));
    trials.extend(mutants::trials(&gpus, missing));
    let same = "paged_attention/ragged_attention is the same";
    trials.extend(on_each(&gpus, missing, same, paged_attention::same_as_ragged));
    let mates = "paged_attention/batch mates and blocks change no bit";
    trials.extend(on_each(&gpus, missing, mates, paged_attention::mates_change_no_bit));
    let follows = "sample/draws follow the probabilities";
    trials.extend(on_each(&gpus, missing, follows, sample::draws_follow_the_probabilities));
    trials.extend(linear::cpu_trials());
    trials.extend(ragged_attention::cpu_trials());
    trials.extend(paged_attention::cpu_trials());
    trials.extend(sample::cpu_trials());
    trials.extend(layouts::trials());
    trials.extend(translate::trials());
    libtest_mimic::run(&args, trials).exit();
}

/// Of the CPU. The others have the twin alone.
fn has_fast_version(kernel: Kernel) -> bool {
    matches!(kernel, Kernel::Linear | Kernel::GatedLinear | Kernel::RaggedAttention | Kernel::PagedAttention)
}

/// The fast kernels of the CPU against the twin, with all vector instructions that there are.
fn fast_trials(kernel: &str, case: &Arc<dyn AnyCase>) -> Vec<Trial> {
    let trial = |instruction_set: InstructionSet| {
        let case = Arc::clone(case);
        let name = format!("{kernel}/{} [{instruction_set:?} has the bits of the twin]", case.title());
        Trial::test(name, move || Ok(case.check_cpu(instruction_set)?))
    };
    InstructionSet::available().into_iter().map(trial).collect()
}

/// A case's twin against its oracle.
fn twin_trial(kernel: &str, case: &Arc<dyn AnyCase>) -> Option<Trial> {
    let case = Arc::clone(case);
    case.has_oracle()
        .then(|| Trial::test(format!("{kernel}/{} [twin against f64]", case.title()), move || Ok(case.check_twin()?)))
}
