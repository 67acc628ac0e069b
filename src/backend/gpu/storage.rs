//! Storage buffers: what kernels read and write.

use super::device::{Device, DeviceBuffer};
use crate::error::{Error, Result};

/// Bytes of a storage buffer at least: a kernel binds whole vec4s.
pub(super) const SMALLEST_BUFFER: u64 = 16;

/// Bytes that a storage buffer for so many takes.
pub(super) fn stored_bytes(bytes: u64) -> u64 {
    bytes.max(SMALLEST_BUFFER)
}

/// A zeroed storage buffer.
///
/// # Errors
/// [`Error::Device`] if memory has run out.
pub(super) fn storage_buffer(device: &Device, label: &str, bytes: u64) -> Result<DeviceBuffer> {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let buffer = device.buffer(label, stored_bytes(bytes), usage);
    device.check().map_err(|error| match error {
        Error::Device(reason) => {
            Error::Device(format!("{label} ({bytes} bytes): {reason}; lower the limits, num_kv_blocks first"))
        }
        error => error,
    })?;
    Ok(buffer)
}
