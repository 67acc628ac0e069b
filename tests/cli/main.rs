//! The real binary, as a user meets it: every wrong input and what is said about it, every form of output.
//!
//! `CB_LAB_GPU=require` makes a missing adapter a failure, `CB_LAB_GPU=skip` uses none. Otherwise trials without an
//! adapter are *ignored*, never passed.

#[path = "../common/gpu.rs"]
#[expect(dead_code, reason = "the binary opens the device, not the test")]
mod gpu;
mod harness;
mod model_copy;
#[path = "../common/rng.rs"]
mod rng;

mod bench;
mod chat;
mod devices;
mod golden;
mod help;
mod limits;
mod mutate;
mod mutations;
mod not_finite;
mod output;
mod prompt_lines;
mod sampling;
mod shaders;
mod steps;
mod streams;
mod trace;
mod undecodable;
mod wrong_folders;
mod wrong_options;
mod wrong_prompts;

fn main() {
    let args = libtest_mimic::Arguments::from_args();
    let (gpus, missing, required) = gpu::wanted();
    // The binary takes the best adapter; one trial each is enough.
    let best = &gpus[..gpus.len().min(1)];

    let mut trials = Vec::new();
    trials.extend(required);
    trials.extend(
        [bench::trials(), help::trials(), chat::trials(), devices::trials(), shaders::trials()].into_iter().flatten(),
    );
    trials.extend([wrong_options::trials(), wrong_folders::trials(), wrong_prompts::trials()].into_iter().flatten());
    trials.extend([prompt_lines::trials(), output::trials(), streams::trials(), steps::trials()].into_iter().flatten());
    trials.extend(
        [limits::trials(), sampling::trials(), golden::trials(), undecodable::trials(), not_finite::trials()]
            .into_iter()
            .flatten(),
    );
    trials.extend(trace::trials());
    trials.extend(mutations::trials());
    trials.extend(gpu::on_each(best, missing, "trace/kernels", trace::kernels));
    trials.extend(gpu::on_each(best, missing, "bench/all", |_| bench::all_on("gpu")));
    trials.extend(gpu::on_each(best, missing, "bench/quality", |_| bench::quality_on_a_gpu()));
    trials.extend(gpu::on_each(best, missing, "shaders/from a folder", |_| shaders::from_a_folder()));
    trials.extend(gpu::on_each(best, missing, "limits/absurd", |_| limits::absurd_on("gpu")));
    trials.extend(gpu::on_each(best, missing, "sampling/seeds", |_| sampling::seeds_on("gpu")));
    trials.extend(golden::FIXTURES.into_iter().flat_map(|fixture| {
        gpu::on_each(best, missing, &format!("golden/{fixture}"), move |_| golden::check(fixture, "gpu"))
    }));
    libtest_mimic::run(&args, trials).exit();
}
