//! What this device can do at best: three shaders that only read, only copy, only compute.

use super::device::Device;
use super::variants::WORKGROUP_SIZE;
use super::{GpuBackend, storage_buffer};
use crate::backend::calibration::{Calibrate, Calibration, fastest};
use crate::error::Result;

/// More than any cache holds, as far as the device binds it; on a software driver there is less memory, and it is slow.
const GPU_BYTES: u64 = 512 << 20;
const SOFTWARE_BYTES: u64 = 64 << 20;
/// Rounds of multiply_add.wgsl, each of eight vec4s.
const ROUNDS: u32 = 256;
/// Calls in one submission. What one call takes is the difference to a submission of one call, since submitting and
/// waiting take their time, too.
const CALLS: u32 = 5;
/// The same for calls that do next to nothing.
const SHORT_CALLS: u32 = 200;

/// One of the three with its buffers.
struct Probe<'a> {
    device: &'a Device,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
}

impl<'a> Probe<'a> {
    fn new(device: &'a Device, wgsl: &str, data: &wgpu::Buffer, out: &wgpu::Buffer) -> Self {
        let module = device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("calibrate"),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        });
        let rounds = wgsl.contains("override ROUNDS").then_some(("ROUNDS", f64::from(ROUNDS)));
        let constants: Vec<_> = [("WORKGROUP_SIZE", f64::from(WORKGROUP_SIZE))].into_iter().chain(rounds).collect();
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("calibrate"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let layout = pipeline.get_bind_group_layout(0);
        let bind_group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("calibrate"),
            layout: &layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: data.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: out.as_entire_binding() },
            ],
        });
        Self { device, pipeline, bind_group }
    }

    /// Seconds that one of so many calls of so many workgroups takes.
    fn seconds_of_one(&self, calls: u32, workgroups: u32) -> Result<f64> {
        let more = self.seconds(calls, workgroups)? - self.seconds(1, workgroups)?;
        Ok(more.max(1e-9) / f64::from(calls - 1))
    }

    /// Seconds of a submission of so many calls of so many workgroups.
    fn seconds(&self, calls: u32, workgroups: u32) -> Result<f64> {
        fastest(|| {
            let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bind_group, &[]);
            for _ in 0..calls {
                pass.dispatch_workgroups(workgroups, 1, 1);
            }
            drop(pass);
            let submission = self.device.queue.submit([encoder.finish()]);
            self.device.check()?;
            self.device.wait_for(&submission)
        })
    }
}

impl Calibrate for GpuBackend {
    fn calibrate(&mut self) -> Result<Calibration> {
        let device = &self.device;
        let software = device.info.device_type == wgpu::DeviceType::Cpu;
        // Enough threads for a large GPU; a software driver runs them one workgroup after the other.
        let workgroups = if software { 16 } else { 4096 };
        let wanted = if software { SOFTWARE_BYTES } else { GPU_BYTES };
        let threads = u64::from(workgroups * WORKGROUP_SIZE);
        // Whole rounds of four vec4s for each thread, which is what read.wgsl reads.
        let bytes = wanted.min(self.max_binding_bytes) / (64 * threads) * (64 * threads);
        let data = storage_buffer(device, "calibration data", bytes)?;
        let out = storage_buffer(device, "calibration results", bytes)?;
        let probe = |wgsl| Probe::new(device, wgsl, &data, &out);

        let read = probe(include_str!("calibrate/read.wgsl")).seconds_of_one(CALLS, workgroups)?;
        let copy = probe(include_str!("calibrate/copy.wgsl"));
        let multiply_add = include_str!("calibrate/multiply_add.wgsl");
        let compute = probe(multiply_add).seconds_of_one(CALLS, 4 * workgroups)?;
        let flop = f64::from(4 * workgroups * WORKGROUP_SIZE) * f64::from(ROUNDS) * 8.0 * 4.0 * 2.0;
        let copied = copy.seconds_of_one(CALLS, workgroups)?;

        // Kernels that write one buffer wait for each other, as a model's do.
        let nothing = storage_buffer(device, "calibration nothing", 4096)?;
        let idle = Probe::new(device, include_str!("calibrate/copy.wgsl"), &nothing, &out);
        let dispatch = idle.seconds_of_one(SHORT_CALLS, 1)?;
        Ok(Calibration {
            read_gb_per_s: bytes as f64 / read / 1e9,
            copy_gb_per_s: 2.0 * bytes as f64 / copied / 1e9,
            gflop_per_s: flop / compute / 1e9,
            thread_gflop_per_s: None,
            dispatch_us: Some(1e6 * dispatch),
        })
    }

    fn forget_peak(&mut self) {
        self.device.tracker.forget_peak();
    }
}
