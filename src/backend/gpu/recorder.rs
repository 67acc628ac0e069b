//! What a step does on the device, recorded as plain data and submitted once.

use super::device::{Device, DeviceBuffer};
use super::pipelines::{PARAMS_BYTES, Pipelines};
use super::timer::{TIMER_BYTES, Timer};
use super::variants::Variant;
use crate::backend::KernelTime;
use crate::error::{Error, Result};
use futures_channel::oneshot;

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

/// Collects commands; [`Recorder::submit_and_read`] runs them all.
pub(super) struct Recorder {
    commands: Vec<Command>,
    /// Params of all recorded dispatches, each at a multiple of `params_stride`.
    params: Vec<u8>,
    params_stride: usize,
    params_buffer: DeviceBuffer,
    readback: DeviceBuffer,
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
            readback: device.buffer("readback", FIRST_READBACK_BYTES, READBACK),
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
        let params_bytes = (num_dispatches * self.params_stride) as u64;
        if self.params_buffer.size() < params_bytes {
            pipelines.forget_bind_groups();
            self.params_buffer.replace(device, "params", params_bytes, PARAMS);
        }
        if self.readback.size() < readback_bytes {
            self.readback.replace(device, "readback", readback_bytes, READBACK);
        }
    }

    /// Bytes of the recorder's own buffers once so much was reserved.
    pub fn bytes(&self, num_dispatches: usize, readback_bytes: u64) -> u64 {
        let params_bytes = (num_dispatches * self.params_stride) as u64;
        let timer_bytes = if self.timer.is_some() { TIMER_BYTES } else { 0 };
        params_bytes.max(FIRST_PARAMS_BYTES) + readback_bytes.max(FIRST_READBACK_BYTES) + timer_bytes
    }

    /// Submits everything recorded and reads the first `bytes` of `buffer`.
    pub async fn submit_and_read(
        &mut self,
        device: &Device,
        pipelines: &mut Pipelines,
        buffer: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<Vec<u32>> {
        // An empty range cannot be mapped; a step in which nobody samples still has to be waited for.
        let bytes = bytes.max(4);
        self.reserve(device, pipelines, self.params.len() / self.params_stride, bytes);
        let mut encoder = self.encode(device, pipelines);
        encoder.copy_buffer_to_buffer(buffer, 0, &self.readback, 0, bytes);
        if let Some(timer) = &self.timer {
            timer.resolve(&mut encoder);
        }
        device.queue.submit([encoder.finish()]);
        device.check()?;

        let words = read(device, &self.readback, bytes).await?;
        if let Some(timer) = &mut self.timer {
            timer.read(device).await?;
        }
        device.check()?;
        Ok(words)
    }

    /// How long the dispatches of the last submission took.
    pub fn take_kernel_times(&mut self) -> Vec<KernelTime> {
        self.timer.as_mut().map(Timer::take).unwrap_or_default()
    }

    fn encode(&mut self, device: &Device, pipelines: &mut Pipelines) -> wgpu::CommandEncoder {
        device.queue.write_buffer(&self.params_buffer, 0, &self.params);
        self.params.clear();

        let mut encoder = device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
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

/// Waits for what was submitted and reads the first bytes of a buffer that can be mapped.
pub(super) async fn read<T: bytemuck::Pod>(device: &Device, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<T>> {
    let (sender, mapped) = oneshot::channel();
    buffer.map_async(wgpu::MapMode::Read, ..bytes, move |result| drop(sender.send(result)));
    // Natively callbacks run while somebody polls the device, so this thread waits here. A browser runs them by itself,
    // and they wake whoever awaits.
    device.wait()?;
    let mapped = mapped.await.map_err(|_| Error::Device("device lost".into()))?;
    mapped.map_err(|error| Error::Device(error.to_string()))?;
    let values = {
        let view = buffer.get_mapped_range(..bytes).map_err(|error| Error::Device(error.to_string()))?;
        bytemuck::pod_collect_to_vec(&view)
    };
    buffer.unmap();
    Ok(values)
}
