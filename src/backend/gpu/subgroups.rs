//! What the fast kernels want of subgroups, and whether a device has it.
//!
//! They let 8, 16 or 32 neighbouring threads of a workgroup hand each other values, and take them for neighbouring lanes of
//! one subgroup. WGSL promises no such order, though every driver known here keeps it. So each device is asked once.

use super::device::Device;
use super::mapped::read;
use super::variants::{TEAMS, WORKGROUP_SIZE};
use crate::error::Result;

/// Workgroups that are looked at.
const WORKGROUPS: u32 = 16;
const WGSL: &str = include_str!("lanes.wgsl");

/// What browsers want before a kernel with subgroup operations; naga, which compiles shaders here, does not know it. Lanes
/// exchange values in teams, and branches are taken by teams: what the second line turns off looks at whole subgroups.
const PREAMBLE: &str = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";

/// The text of a kernel as a browser takes it.
pub fn for_browsers(wgsl: &str) -> String {
    let preamble = if wgsl.contains("subgroupShuffle") { PREAMBLE } else { "" };
    format!("{preamble}{wgsl}")
}

/// What a thread tells: its lane in the subgroup, and the threads that it gets from lanes whose numbers differ in one bit,
/// the lowest first.
type Found = [u32; 6];

/// How many neighbouring threads are neighbouring lanes of one subgroup: 32, 16, 8, or 1. A tiny kernel tells.
pub(super) async fn lanes_in_order(device: &Device) -> Result<u32> {
    let most = device.min_subgroup_size();
    if most < TEAMS[0] {
        return Ok(1);
    }
    let bytes = u64::from(WORKGROUPS * WORKGROUP_SIZE) * size_of::<Found>() as u64;
    let out = device.buffer("lanes", bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let readable = device.buffer("lanes", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let wgsl = if cfg!(target_family = "wasm") { for_browsers(WGSL) } else { WGSL.into() };
    let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("lanes"),
        source: wgpu::ShaderSource::Wgsl(wgsl.into()),
    });
    let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("lanes"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let bind_group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("lanes"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: out.as_entire_binding() }],
    });
    let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &bind_group, &[]);
    pass.dispatch_workgroups(WORKGROUPS, 1, 1);
    drop(pass);
    encoder.copy_buffer_to_buffer(&out, 0, &readable, 0, bytes);
    let submission = device.queue.submit([encoder.finish()]);
    device.check()?;
    let found: Vec<Found> = read(device, &readable, bytes, &submission).await?;
    Ok(TEAMS.into_iter().rev().find(|&lanes| lanes <= most && are_in_order(&found, lanes)).unwrap_or(1))
}

/// Whether so many neighbouring threads are neighbouring lanes.
fn are_in_order(found: &[Found], lanes: u32) -> bool {
    (0..).zip(found).all(|(i, &[lane, ref from @ ..])| {
        let thread = i % WORKGROUP_SIZE;
        let mut bits = (0..lanes.ilog2()).zip(from);
        lane % lanes == thread % lanes && bits.all(|(bit, from)| *from == thread ^ 1 << bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device tells whose subgroups have 16 lanes, and whose threads lie in the lanes that `lane_of` says.
    fn found(lane_of: impl Fn(u32) -> u32) -> Vec<Found> {
        let threads = 0..WORKGROUP_SIZE;
        let thread_in = |place| threads.clone().find(|&thread| lane_of(thread) == place).expect("every place is taken");
        let of = |thread| {
            let place = lane_of(thread);
            // A lane that is not there hands over nothing.
            let from = |bit| if bit < 16 { thread_in(place ^ bit) } else { 0 };
            [place % 16, from(1), from(2), from(4), from(8), from(16)]
        };
        threads.clone().map(of).collect()
    }

    #[test]
    fn only_lanes_in_order_will_do() {
        let in_order = found(|thread| thread);
        assert_eq!([8, 16, 32].map(|lanes| are_in_order(&in_order, lanes)), [true, true, false]);
        // Eights as a whole may lie anywhere, for eight.
        let turned = found(|thread| thread ^ 24);
        assert_eq!([8, 16].map(|lanes| are_in_order(&turned, lanes)), [true, false]);
        let not_in_order = |found: &[Found]| !are_in_order(found, 8);
        assert!(not_in_order(&found(|thread| thread ^ 1)), "neighbours changed places");
        assert!(not_in_order(&found(|thread| thread % 8 * 8 + thread / 8)), "every eighth thread together");
        assert!(not_in_order(&found(|thread| WORKGROUP_SIZE - 1 - thread)), "backwards");
    }
}
