//! Tuning is about speed alone: a fast version gives the same bits whatever it is tuned for, in all its cases. So the pair
//! tests, which run as fits the adapter, hold for the other tuning, too.

use crate::cases_of;
use crate::harness::*;
use cb_lab::backend::gpu::{GpuBackend, GpuOptions, Kernel, Tuning};

pub fn changes_no_bit(gpu: &Gpu, kernel: Kernel) -> Result<(), String> {
    for case in cases_of(kernel) {
        let [hardware, software] = [Tuning::Gpu, Tuning::Software].map(|tuning| {
            let mut lab =
                open(gpu, GpuOptions { tuning, ..case.gpu_options() }).map_err(|failure| failure.to_string())?;
            if lab.0.tuning() != tuning {
                return Err(format!("tuned for {:?} in place of {tuning:?}", lab.0.tuning()));
            }
            words(&*case, &mut lab)
        });
        if hardware? != software? {
            return Err(format!("{} has other bits", case.title()));
        }
    }
    Ok(())
}

/// Of all outputs.
fn words(case: &dyn AnyCase, lab: &mut Lab<GpuBackend>) -> Result<Vec<Vec<u32>>, String> {
    let outputs = case.outputs(lab).map_err(|error| error.to_string())?;
    Ok(outputs.into_iter().map(|output| output.words).collect())
}
