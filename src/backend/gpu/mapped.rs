//! Reads a buffer that can be mapped.

use super::device::Device;
use crate::error::Result;
use futures_channel::oneshot;

/// Waits for a submission and reads the first bytes of a buffer that can be mapped.
pub(super) async fn read<T: bytemuck::Pod>(
    device: &Device,
    buffer: &wgpu::Buffer,
    bytes: u64,
    submission: &wgpu::SubmissionIndex,
) -> Result<Vec<T>> {
    let (sender, mapped) = oneshot::channel();
    buffer.map_async(wgpu::MapMode::Read, ..bytes, move |result| drop(sender.send(result)));
    // Natively callbacks run while somebody polls the device, so this thread waits here. A browser runs them by itself,
    // and they wake whoever awaits.
    device.wait_for(submission)?;
    let mapped = mapped.await.map_err(|_| device.error("a buffer was never mapped".into()))?;
    mapped.map_err(|error| device.error(error.to_string()))?;
    let values = {
        let view = buffer.get_mapped_range(..bytes).map_err(|error| device.error(error.to_string()))?;
        bytemuck::pod_collect_to_vec(&view)
    };
    buffer.unmap();
    Ok(values)
}
