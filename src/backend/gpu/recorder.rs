//! What a step does on the device, recorded as plain data and submitted once.

use super::device::{Device, DeviceBuffer};
use super::mapped::read;
use super::pipelines::{PARAMS_BYTES, Pipelines};
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

/// The first words of a buffer as a submission leaves them.
pub struct Readback {
    /// Where they are copied to.
    mappable: DeviceBuffer,
    len: usize,
    submission: wgpu::SubmissionIndex,
}

/// Submissions that may be in flight without a buffer being made.
const MOST_IN_FLIGHT: usize = 2;

/// Collects commands; [`Recorder::submit`] runs them all.
pub(super) struct Recorder {
    commands: Vec<Command>,
    /// Params of all recorded dispatches, each at a multiple of `params_stride`.
    params: Vec<u8>,
    params_stride: usize,
    params_buffer: DeviceBuffer,
    /// Buffers to read back with that are in nobody's hands, and what each can hold at least.
    mappable: Vec<DeviceBuffer>,
    mappable_bytes: u64,
    /// Where kernels are timed, and can be.
    timer: Option<Timer>,
}

impl Recorder {
    pub fn new(device: &Device, time_kernels: bool) -> Self {
        let params_stride = (device.limits.min_uniform_buffer_offset_alignment as usize).max(PARAMS_BYTES as usize);
        Self {
            commands: Vec::new(),
            params: Vec::new(),
            params_stride,
            params_buffer: device.buffer("params", FIRST_PARAMS_BYTES, PARAMS),
            mappable: (0..MOST_IN_FLIGHT).map(|_| mappable_buffer(device, FIRST_READBACK_BYTES)).collect(),
            mappable_bytes: FIRST_READBACK_BYTES,
            timer: if time_kernels { Timer::new(device) } else { None },
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
        for mappable in self.mappable.iter_mut().filter(|mappable| mappable.size() < readback_bytes) {
            mappable.replace(device, "readback", readback_bytes, READBACK);
        }
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
        let fits = self.mappable.iter().position(|buffer| buffer.size() >= bytes);
        let mappable = match fits {
            Some(idx) => self.mappable.swap_remove(idx),
            // One was lost with a step that failed.
            None => mappable_buffer(device, bytes.max(self.mappable_bytes)),
        };
        let mut encoder = self.encode(device, pipelines);
        encoder.copy_buffer_to_buffer(buffer, 0, &mappable, 0, bytes);
        if let Some(timer) = &self.timer {
            timer.resolve(&mut encoder);
        }
        let submission = device.queue.submit([encoder.finish()]);
        let readback = Readback { mappable, len, submission };
        if let Err(error) = device.check() {
            self.discard(readback);
            return Err(error);
        }
        Ok(readback)
    }

    /// Waits for a submission, and not for a later one, and reads the words.
    pub async fn read(&mut self, device: &Device, readback: Readback) -> Result<Vec<u32>> {
        let mut words = read(device, &readback.mappable, mapped_bytes(readback.len), &readback.submission).await?;
        words.truncate(readback.len);
        if let Some(timer) = &mut self.timer {
            timer.read(device, &readback.submission).await?;
        }
        device.check()?;
        self.discard(readback);
        Ok(words)
    }

    /// Takes the buffer of a readback that is over, or that nobody wants.
    pub fn discard(&mut self, readback: Readback) {
        if self.mappable.len() < MOST_IN_FLIGHT {
            self.mappable.push(readback.mappable);
        }
    }

    /// Whether dispatches are timed.
    pub fn times_kernels(&self) -> bool {
        self.timer.is_some()
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
        let timer_bytes = if self.timer.is_some() { TIMER_BYTES } else { 0 };
        let readback_bytes = MOST_IN_FLIGHT as u64 * readback_bytes.max(FIRST_READBACK_BYTES);
        params_bytes.max(FIRST_PARAMS_BYTES) + readback_bytes + timer_bytes
    }

    /// How long the dispatches of the last submission took.
    pub fn take_kernel_times(&mut self) -> Vec<KernelTime> {
        self.timer.as_mut().map(Timer::take).unwrap_or_default()
    }

    fn encode(&mut self, device: &Device, pipelines: &mut Pipelines) -> wgpu::CommandEncoder {
        device.queue.write_buffer(&self.params_buffer, 0, &self.params);
        self.params.clear();

        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
        if let Some(timer) = &mut self.timer {
            timer.begin();
        }
        let commands = std::mem::take(&mut self.commands);
        // A pass takes any number of dispatches, but only two timestamps.
        let together =
            |a: &Command, b: &Command| matches!((a, b), (Command::Dispatch { .. }, Command::Dispatch { .. }));
        let timed = self.timer.is_some();
        for run in commands.chunk_by(|a, b| !timed && together(a, b)) {
            if let [Command::Copy { from, to, bytes }] = run {
                encoder.copy_buffer_to_buffer(from, 0, to, 0, *bytes);
                continue;
            }
            let timestamp_writes = match (&mut self.timer, run) {
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

fn mappable_buffer(device: &Device, bytes: u64) -> DeviceBuffer {
    device.buffer("readback", bytes, READBACK)
}
