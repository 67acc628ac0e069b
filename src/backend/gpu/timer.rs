//! How long each dispatch takes on the device, by its own clock: timestamps before and after.

use super::device::{Device, DeviceBuffer};
use super::mapped::read;
use crate::backend::KernelTime;
use crate::error::Result;

/// Dispatches of a submission that are timed at most: a query set has room for 4,096 timestamps.
const MOST_DISPATCHES: u32 = wgpu::QUERY_SET_MAX_QUERIES / 2;
const TIMESTAMP_BYTES: u64 = 8;
const BUFFER_BYTES: u64 = 2 * MOST_DISPATCHES as u64 * TIMESTAMP_BYTES;
/// Of both buffers of a [`Timer`].
pub(super) const TIMER_BYTES: u64 = 2 * BUFFER_BYTES;

/// Timestamps of a submission, and of the next one once it was read. A timed dispatch has a pass to itself, which costs a little.
pub(super) struct Timer {
    queries: wgpu::QuerySet,
    resolved: DeviceBuffer,
    readback: DeviceBuffer,
    /// Kernel and layer of each timed dispatch.
    dispatches: Vec<(&'static str, Option<usize>)>,
}

impl Timer {
    /// Whether the device has timestamps.
    pub fn is_possible(device: &Device) -> bool {
        device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// For a device that has timestamps.
    pub fn new(device: &Device) -> Self {
        let buffer = |usage| device.buffer("timestamps", BUFFER_BYTES, usage);
        Self {
            queries: device.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * MOST_DISPATCHES,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            readback: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
            dispatches: Vec::new(),
        }
    }

    /// Nothing of this submission was timed yet. What a failed one left is forgotten.
    pub fn begin(&mut self) {
        self.dispatches.clear();
    }

    /// What the pass of the next dispatch is to write; nothing once there is no more room.
    pub fn time(&mut self, kernel: &'static str, layer: Option<usize>) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let first = 2 * self.dispatches.len() as u32;
        (first < 2 * MOST_DISPATCHES).then(|| {
            self.dispatches.push((kernel, layer));
            wgpu::ComputePassTimestampWrites {
                query_set: &self.queries,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            }
        })
    }

    /// Copies the timestamps to where they can be read, at the end of a submission.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        if !self.dispatches.is_empty() {
            encoder.resolve_query_set(&self.queries, 0..2 * self.dispatches.len() as u32, &self.resolved, 0);
            encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readback, 0, self.bytes());
        }
    }

    /// Reads the timestamps of a submission that has run.
    pub async fn read(&mut self, device: &Device, submission: &wgpu::SubmissionIndex) -> Result<Vec<KernelTime>> {
        let bytes = self.bytes();
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let ticks: Vec<u64> = read(device, &self.readback, bytes, submission).await?;
        let first = ticks.iter().min().copied().unwrap_or_default();
        let us = |ticks: u64| ticks as f64 * f64::from(device.queue.get_timestamp_period()) / 1e3;
        let time = |((kernel, layer), ticks): ((&'static str, Option<usize>), &[u64])| KernelTime {
            kernel: kernel.into(),
            layer,
            begin_us: us(ticks[0] - first),
            us: us(ticks[1].saturating_sub(ticks[0])),
        };
        Ok(self.dispatches.drain(..).zip(ticks.chunks_exact(2)).map(time).collect())
    }

    fn bytes(&self) -> u64 {
        2 * TIMESTAMP_BYTES * self.dispatches.len() as u64
    }
}
