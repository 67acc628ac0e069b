//! What a step does on the device, recorded as plain data and submitted once.

use super::device::{Device, DeviceBuffer};
use super::mapped::read;
use super::pipelines::{PARAMS_BYTES, Pipelines};
use super::readback::{MOST_IN_FLIGHT, Readback, Slot, Slots};
use super::timer::{TIMER_BYTES, Timer};
use super::variants::Variant;
use crate::backend::KernelTime;
use crate::error::Result;

/// One thing to do on the device.
enum Command {
    Dispatch { variant: Variant, layer: Option<usize>, buffers: Vec<wgpu::Buffer>, params_offset: u32, grid: [u32; 3] },
    Copy { from: wgpu::Buffer, to: wgpu::Buffer, bytes: u64 },
}

/// Bytes of a buffer of the recorder before anybody has reserved more.
const FIRST_PARAMS_BYTES: u64 = 1 << 20;
const FIRST_READBACK_BYTES: u64 = 1 << 16;
const PARAMS: wgpu::BufferUsages = wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::COPY_DST);
const READBACK: wgpu::BufferUsages = wgpu::BufferUsages::MAP_READ.union(wgpu::BufferUsages::COPY_DST);

/// Collects commands; [`Recorder::submit`] runs them all.
pub(super) struct Recorder {
    commands: Vec<Command>,
    /// Params of all recorded dispatches, each at a multiple of `params_stride`.
    params: Vec<u8>,
    params_stride: usize,
    params_buffer: DeviceBuffer,
    slots: Slots,
    /// What each slot can hold at least.
    mappable_bytes: u64,
    time_kernels: bool,
    /// Of the last submission that was read.
    kernel_times: Vec<KernelTime>,
}

impl Recorder {
    pub fn new(device: &Device, time_kernels: bool) -> Self {
        let params_stride = (device.limits.min_uniform_buffer_offset_alignment as usize).max(PARAMS_BYTES as usize);
        let time_kernels = time_kernels && Timer::is_possible(device);
        let slots = Slots::default();
        (0..MOST_IN_FLIGHT).for_each(|_| slots.give_back(new_slot(device, FIRST_READBACK_BYTES, time_kernels)));
        Self {
            commands: Vec::new(),
            params: Vec::new(),
            params_stride,
            params_buffer: device.buffer("params", FIRST_PARAMS_BYTES, PARAMS),
            slots,
            mappable_bytes: FIRST_READBACK_BYTES,
            time_kernels,
            kernel_times: Vec::new(),
        }
    }

    pub fn dispatch(
        &mut self,
        variant: Variant,
        layer: Option<usize>,
        params: &[u8],
        buffers: Vec<wgpu::Buffer>,
        grid: [u32; 3],
    ) {
        let params_offset = self.params.len() as u32;
        self.params.extend_from_slice(params);
        self.params.resize(params_offset as usize + self.params_stride, 0);
        self.commands.push(Command::Dispatch { variant, layer, buffers, params_offset, grid });
    }

    pub fn copy(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer, bytes: u64) {
        self.commands.push(Command::Copy { from: from.clone(), to: to.clone(), bytes });
    }

    /// Makes room for the params of so many dispatches and for so many bytes read back. What is recorded without asking
    /// first makes its own.
    pub fn reserve(&mut self, device: &Device, pipelines: &mut Pipelines, num_dispatches: usize, readback_bytes: u64) {
        self.reserve_params(device, pipelines, num_dispatches);
        self.mappable_bytes = self.mappable_bytes.max(readback_bytes);
        self.slots.for_each(|Slot { mappable, .. }| {
            if mappable.size() < readback_bytes {
                mappable.replace(device, "readback", readback_bytes, READBACK);
            }
        });
    }

    /// Submits everything recorded, and the first `len` words of `buffer` to be read.
    pub fn submit(
        &mut self,
        device: &Device,
        pipelines: &mut Pipelines,
        buffer: &wgpu::Buffer,
        len: usize,
    ) -> Result<Readback> {
        let bytes = mapped_bytes(len);
        self.reserve_params(device, pipelines, self.params.len() / self.params_stride);
        // One may have been lost with a step that failed.
        let new_bytes = bytes.max(self.mappable_bytes);
        let mut slot = self.slots.take(bytes).unwrap_or_else(|| new_slot(device, new_bytes, self.time_kernels));
        let mut encoder = self.encode(device, pipelines, slot.timer.as_mut());
        encoder.copy_buffer_to_buffer(buffer, 0, &slot.mappable, 0, bytes);
        if let Some(timer) = &slot.timer {
            timer.resolve(&mut encoder);
        }
        let submission = device.queue.submit([encoder.finish()]);
        let readback = Readback::new(slot, &self.slots, len, submission);
        device.check()?;
        Ok(readback)
    }

    /// Waits for a submission, and not for a later one, and reads the words.
    pub async fn read(&mut self, device: &Device, readback: Readback) -> Result<Vec<u32>> {
        let (len, submission) = (readback.len, readback.submission.clone());
        let mut slot = readback.into_slot().expect("it was not read before");
        let mut words = read(device, &slot.mappable, mapped_bytes(len), &submission).await?;
        words.truncate(len);
        if let Some(timer) = &mut slot.timer {
            self.kernel_times = timer.read(device, &submission).await?;
        }
        device.check()?;
        self.slots.give_back(slot);
        Ok(words)
    }

    fn reserve_params(&mut self, device: &Device, pipelines: &mut Pipelines, num_dispatches: usize) {
        let params_bytes = (num_dispatches * self.params_stride) as u64;
        if self.params_buffer.size() < params_bytes {
            pipelines.forget_bind_groups();
            self.params_buffer.replace(device, "params", params_bytes, PARAMS);
        }
    }

    /// Bytes of the recorder's own buffers once so much was reserved.
    pub fn bytes(&self, num_dispatches: usize, readback_bytes: u64) -> u64 {
        let params_bytes = (num_dispatches * self.params_stride) as u64;
        let timer_bytes = if self.time_kernels { MOST_IN_FLIGHT as u64 * TIMER_BYTES } else { 0 };
        let readback_bytes = MOST_IN_FLIGHT as u64 * readback_bytes.max(FIRST_READBACK_BYTES);
        params_bytes.max(FIRST_PARAMS_BYTES) + readback_bytes + timer_bytes
    }

    /// How long the dispatches of the last submission that was read took; then nothing.
    pub fn take_kernel_times(&mut self) -> Vec<KernelTime> {
        std::mem::take(&mut self.kernel_times)
    }

    fn encode(
        &mut self,
        device: &Device,
        pipelines: &mut Pipelines,
        mut timer: Option<&mut Timer>,
    ) -> wgpu::CommandEncoder {
        device.queue.write_buffer(&self.params_buffer, 0, &self.params);
        self.params.clear();

        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
        if let Some(timer) = &mut timer {
            timer.begin();
        }
        let commands = std::mem::take(&mut self.commands);
        // A pass takes any number of dispatches, but only two timestamps.
        let together =
            |a: &Command, b: &Command| matches!((a, b), (Command::Dispatch { .. }, Command::Dispatch { .. }));
        let timed = timer.is_some();
        for run in commands.chunk_by(|a, b| !timed && together(a, b)) {
            if let [Command::Copy { from, to, bytes }] = run {
                encoder.copy_buffer_to_buffer(from, 0, to, 0, *bytes);
                continue;
            }
            let timestamp_writes = match (&mut timer, run) {
                (Some(timer), [Command::Dispatch { variant, layer, .. }]) => {
                    timer.time(variant.kernel.source().name, *layer)
                }
                _ => None,
            };
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            for command in run {
                if let Command::Dispatch { variant, buffers, params_offset, grid: [x, y, z], .. } = command {
                    let bind_group = pipelines.bind_group(device, variant.kernel, &self.params_buffer, buffers);
                    pass.set_pipeline(pipelines.pipeline(variant));
                    pass.set_bind_group(0, &bind_group, &[*params_offset]);
                    pass.dispatch_workgroups(*x, *y, *z);
                }
            }
        }
        encoder
    }
}

/// An empty range cannot be mapped; a step in which nobody samples still has to be waited for.
fn mapped_bytes(len: usize) -> u64 {
    4 * len.max(1) as u64
}

fn new_slot(device: &Device, bytes: u64, time_kernels: bool) -> Slot {
    let timer = if time_kernels { Some(Timer::new(device)) } else { None };
    Slot { mappable: device.buffer("readback", bytes, READBACK), timer }
}
