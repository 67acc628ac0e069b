//! The pair tests run as fits the adapter. Here the fast versions run as tuned for the other kind, too: the tiles of a linear
//! give the same bits, in all cases. Attention with larger teams of lanes adds in another order, and is held against its twin.

use crate::cases_of;
use crate::harness::*;
use cb_lab::backend::gpu::{GpuBackend, GpuOptions, Kernel, Tuning};

pub fn changes_no_bit(gpu: &Gpu, kernel: Kernel) -> Result<(), String> {
    // Neighbouring cases have the same options mostly, and then the same two devices.
    let mut labs: Option<(GpuOptions, [Lab<GpuBackend>; 2])> = None;
    for case in cases_of(kernel) {
        let options = case.gpu_options();
        let pair = match labs.take() {
            Some((of, pair)) if of == options => pair,
            _ => [tuned(gpu, Tuning::Gpu, &options)?, tuned(gpu, Tuning::Software, &options)?],
        };
        let (_, [hardware, software]) = labs.insert((options, pair));
        if words(&*case, hardware)? != words(&*case, software)? {
            return Err(format!("{} has other bits", case.title()));
        }
    }
    Ok(())
}

/// All cases as tuned for hardware.
pub fn is_right_for_hardware(gpu: &Gpu, kernel: Kernel) -> Result<(), String> {
    let mut lab: Option<(GpuOptions, Lab<GpuBackend>)> = None;
    for case in cases_of(kernel) {
        let options = case.gpu_options();
        let found = match lab.take() {
            Some((of, lab)) if of == options => lab,
            _ => tuned(gpu, Tuning::Gpu, &options)?,
        };
        let (_, lab) = lab.insert((options, found));
        case.check_gpu(lab).map_err(|failure| format!("{}: {failure}", case.title()))?;
    }
    Ok(())
}

/// A kernel from outside runs as it was written, whatever words the program's own would read: here the first part of a text
/// that has two with a stand-in is another.
pub fn takes_other_texts(gpu: &Gpu) -> Result<(), String> {
    let kernel = Kernel::LinearTiles;
    let text = kernel.source().wgsl();
    let other = text.replace("fn floats_of(four: Four) -> vec4<f32> {", "fn floats_of(four: vec4<f32>) -> vec4<f32> {");
    if other == text {
        return Err("four.wgsl has changed".into());
    }
    for case in cases_of(kernel).iter().take(3) {
        let options = case.gpu_options();
        let mut own = tuned(gpu, Tuning::Software, &options)?;
        let mut edited = tuned(gpu, Tuning::Software, &GpuOptions { wgsl: vec![(kernel, other.clone())], ..options })?;
        if words(&**case, &mut own)? != words(&**case, &mut edited)? {
            return Err(format!("{} has other bits", case.title()));
        }
    }
    Ok(())
}

/// Deterministic, so that any number of rows takes the tiles: which version of a linear few rows take depends on the tuning.
fn tuned(gpu: &Gpu, tuning: Tuning, options: &GpuOptions) -> Result<Lab<GpuBackend>, String> {
    let lab = open(gpu, GpuOptions { tuning, deterministic: true, ..options.clone() })
        .map_err(|failure| failure.to_string())?;
    match lab.0.tuning() {
        found if found == tuning => Ok(lab),
        found => Err(format!("tuned for {found:?} in place of {tuning:?}")),
    }
}

/// Of all outputs.
fn words(case: &dyn AnyCase, lab: &mut Lab<GpuBackend>) -> Result<Vec<Vec<u32>>, String> {
    let outputs = case.outputs(lab).map_err(|error| error.to_string())?;
    Ok(outputs.into_iter().map(|output| output.words).collect())
}
