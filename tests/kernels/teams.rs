//! Attention in teams of 16 and 32 lanes, as hardware runs it, on a device whose subgroups are smaller: a workgroup has one
//! team, whose threads hand values round in workgroup memory. What is not seen here is how several large teams put their
//! sums together.

use crate::cases_of;
use crate::harness::*;
use crate::translate::parse;
use cb_lab::backend::gpu::{GpuBackend, GpuOptions, Kernel, Tuning};
use std::sync::Arc;

const EXCHANGE: &str = "
var<private> thread: u32;
var<workgroup> handed: array<vec4<u32>, LANES>;

fn handed_by(mine: vec4<u32>, other: u32) -> vec4<u32> {
    workgroupBarrier();
    handed[thread] = mine;
    workgroupBarrier();
    return handed[other];
}

fn numbers_from(mine: vec4<f32>, lane: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(handed_by(bitcast<vec4<u32>>(mine), lane));
}

fn numbers_across(mine: vec4<f32>, mask: u32) -> vec4<f32> {
    return bitcast<vec4<f32>>(handed_by(bitcast<vec4<u32>>(mine), thread ^ mask));
}
";

/// The teams of a workgroup take turns.
const MAIN: &str = "
@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) num_workgroups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var team = 0u; team < TEAMS; team++) {
        of_team(workgroup, num_workgroups, team * LANES + lane, 0u);
    }
}
";

/// What stands in a kernel's text, and what takes its place.
const REPLACED: [(&str, &str); 5] = [
    ("let lane_of_team = lane_in_subgroup % LANES;", "thread = lane % LANES;\n    let lane_of_team = thread;"),
    ("let first_of_team = lane_in_subgroup - lane_of_team;", "let first_of_team = 0u;"),
    ("subgroupShuffle(kv_rows, ", "handed_by(kv_rows, "),
    ("subgroupShuffle(", "numbers_from("),
    ("subgroupShuffleXor(", "numbers_across("),
];

/// Faults that show in large teams alone.
const MUTANTS: [(Kernel, &str, &str); 6] = [
    (Kernel::RaggedAttentionSubgroup, "total += subgroupShuffleXor(total, 8u);", ""),
    (Kernel::RaggedAttentionSubgroup, "largest = max(largest, subgroupShuffleXor(largest, 16u));", ""),
    (Kernel::PagedAttentionSubgroup, "largest = max(largest, subgroupShuffleXor(largest, 8u));", ""),
    (Kernel::PagedAttentionSubgroup, "if LANES > 16u { total += subgroupShuffleXor(total, 8u); }", ""),
    (Kernel::PagedAttentionSubgroup, "i < 8u * LANES; i +=", "i < 64u; i +="),
    (Kernel::PagedAttentionSubgroup, "column * LANES + i % LANES", "column * LANES + i % 8u"),
];

/// The cases in which a lane of such a team owns one vec4 of a head.
pub fn all_cases(gpu: &Gpu, kernel: Kernel) -> Result<(), String> {
    run(gpu, kernel, &kernel.source().wgsl())
}

/// Each fault makes some case fail.
pub fn mutants_are_caught(gpu: &Gpu, kernel: Kernel) -> Result<(), String> {
    let text = kernel.source().wgsl();
    for (_, from, to) in MUTANTS.into_iter().filter(|(of, ..)| *of == kernel) {
        if text.matches(from).count() != 1 {
            return Err(format!("`{from}` stands {} times in the kernel, not once", text.matches(from).count()));
        }
        let mutant = text.replace(from, to);
        // Else it would fail for that alone.
        parse(&mutant)?;
        if run(gpu, kernel, &mutant).is_ok() {
            return Err(format!("no case fails where `{to}` takes the place of `{from}`"));
        }
    }
    Ok(())
}

/// The kernel's cases with this text of it. Some have rows of both kernels.
fn run(gpu: &Gpu, kernel: Kernel, text: &str) -> Result<(), String> {
    let text_of = |of: Kernel| if of == kernel { text.to_string() } else { of.source().wgsl() };
    let both = [Kernel::RaggedAttentionSubgroup, Kernel::PagedAttentionSubgroup];
    let wgsl: Vec<(Kernel, String)> = both.map(|of| (of, in_workgroup_memory(of, &text_of(of)))).into();
    if wgsl.iter().any(|(_, text)| text.contains("subgroupShuffle")) {
        return Err("some values are handed round in another way".into());
    }
    let is_wide =
        |case: &Arc<dyn AnyCase>| ["head_dim=64,", "head_dim=128,"].iter().any(|of| case.title().contains(of));
    let mut num_cases = 0;
    let mut lab: Option<(GpuOptions, Lab<GpuBackend>)> = None;
    for case in cases_of(kernel).into_iter().filter(is_wide) {
        let options = case.gpu_options();
        let found = match lab.take() {
            Some((of, lab)) if of == options => lab,
            _ => {
                let wgsl = wgsl.clone();
                let options = GpuOptions { tuning: Tuning::Gpu, lanes: Some(32), wgsl, ..options.clone() };
                open(gpu, options).map_err(|failure| failure.to_string())?
            }
        };
        let (_, lab) = lab.insert((options, found));
        case.check_gpu(lab).map_err(|failure| format!("{}: {failure}", case.title()))?;
        num_cases += 1;
    }
    if num_cases > 0 { Ok(()) } else { Err("there are no such cases".into()) }
}

/// A kernel's text without subgroups.
fn in_workgroup_memory(kernel: Kernel, text: &str) -> String {
    let mut wgsl = REPLACED.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to));
    if kernel == Kernel::RaggedAttentionSubgroup {
        let entry = wgsl.replace("@compute @workgroup_size(WORKGROUP_SIZE)\nfn main(", "fn of_team(");
        let builtins = ["workgroup_id", "num_workgroups", "local_invocation_index", "subgroup_invocation_id"];
        wgsl = builtins.iter().fold(entry, |wgsl, name| wgsl.replace(&format!("@builtin({name}) "), "")) + MAIN;
    } else {
        let declared = "override WORKGROUP_SIZE: u32 = 64u";
        wgsl = wgsl.replace("WORKGROUP_SIZE", "LANES").replace("override LANES: u32 = 64u", declared);
    }
    wgsl + EXCHANGE
}
