//! The GPU adapters that tests run on. A test has one trial per adapter; without one it shows as *ignored*, never as
//! passed.
//!
//! `CB_LAB_GPU=require` makes a missing adapter a failure, `CB_LAB_GPU=skip` uses none.

use cb_lab::backend::gpu::{AdapterReport, Adapters, GpuBackend, GpuOptions};
use libtest_mimic::{Completion, Trial};
use std::sync::{Arc, Mutex};

/// One adapter to test on.
pub struct Gpu {
    adapters: Adapters,
    idx: usize,
    /// `vulkan llvmpipe`
    pub tag: String,
    /// Not a GPU at all, but a driver that computes on the CPU.
    #[allow(dead_code, reason = "not every test that includes this file asks")]
    pub software: bool,
    /// Lanes of its smallest subgroup.
    #[allow(dead_code, reason = "not every test that includes this file asks")]
    pub lanes: u32,
    /// It can time its kernels.
    #[allow(dead_code, reason = "not every test that includes this file asks")]
    pub timestamps: bool,
    /// Devices opened before, to be used again: their pipelines are made.
    #[allow(dead_code, reason = "not every test that includes this file keeps devices")]
    pub idle: Mutex<Vec<GpuBackend>>,
}

impl Gpu {
    /// Every usable adapter.
    pub fn find() -> Vec<Arc<Self>> {
        let adapters = pollster::block_on(Adapters::find());
        let usable = adapters.reports().into_iter().filter(|report| report.unusable.is_none());
        let gpu = |(idx, report): (usize, AdapterReport)| {
            let name = report.name.split(" (").next().unwrap_or_default();
            let tag = format!("{} {name}", report.api);
            let software = report.kind == "software";
            let (timestamps, lanes) = (report.timestamps, if report.subgroups { report.subgroup_size.0 } else { 1 });
            Arc::new(Self { adapters: adapters.clone(), idx, tag, software, lanes, timestamps, idle: Mutex::default() })
        };
        usable.enumerate().map(gpu).collect()
    }

    /// A new device.
    pub fn open(&self, options: GpuOptions) -> cb_lab::Result<GpuBackend> {
        let adapter = self.adapters.usable().nth(self.idx).expect("the adapter was there a moment ago");
        pollster::block_on(GpuBackend::new(adapter, options))
    }
}

/// The adapters that `CB_LAB_GPU` allows, why there are none, and a trial that fails if there must be one.
pub fn wanted() -> (Vec<Arc<Gpu>>, &'static str, Option<Trial>) {
    let gpu = std::env::var("CB_LAB_GPU").unwrap_or_default();
    let gpus = if gpu == "skip" { Vec::new() } else { Gpu::find() };
    let missing = if gpu == "skip" { "CB_LAB_GPU=skip" } else { "no adapter" };
    let none = gpus.is_empty();
    let check = move || if none { Err("CB_LAB_GPU=require, and there is no usable adapter".into()) } else { Ok(()) };
    let required = (gpu == "require").then(|| Trial::test("an adapter is there", check));
    (gpus, missing, required)
}

/// A trial for each adapter, or an ignored one that says why there is none.
pub fn on_each<E: ToString>(
    gpus: &[Arc<Gpu>],
    missing: &'static str,
    name: &str,
    check: impl Fn(&Gpu) -> Result<(), E> + Clone + Send + 'static,
) -> Vec<Trial> {
    if gpus.is_empty() {
        let ignored = || Ok(Completion::ignored_with("no adapter"));
        return vec![Trial::ignorable_test(format!("{name} [{missing}]"), ignored).with_ignored_flag(true)];
    }
    let trial = |gpu: &Arc<Gpu>| {
        let (gpu, check) = (Arc::clone(gpu), check.clone());
        let name = format!("{name} [{}]", gpu.tag);
        Trial::test(name, move || check(&gpu).map_err(|failure| failure.to_string().into()))
    };
    gpus.iter().map(trial).collect()
}
