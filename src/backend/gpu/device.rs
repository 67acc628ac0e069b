//! Adapters: what is there, which one to take, and the device opened on it.

use super::tuning::Settings;
use crate::backend::memory_tracker::{Entry, MemoryTracker};
use crate::error::{Error, Result};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// What one adapter is and supports.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AdapterReport {
    /// The adapter's own name.
    pub name: String,
    /// `vulkan`, `metal`, `dx12`, `webgpu`
    pub api: String,
    /// `discrete`, `integrated`, `virtual`, `software`, `other`
    pub kind: &'static str,
    /// Driver name and version.
    pub driver: String,
    /// Largest piece of a buffer that a kernel can bind.
    pub max_binding_bytes: u64,
    /// Largest buffer.
    pub max_buffer_bytes: u64,
    /// Memory shared by a workgroup.
    pub max_workgroup_bytes: u32,
    /// Smallest and largest subgroup.
    pub subgroup_size: (u32, u32),
    /// f16 arithmetic in shaders.
    pub shader_f16: bool,
    /// Subgroup operations.
    pub subgroups: bool,
    /// Timestamps for profiling.
    pub timestamps: bool,
    /// Shapes of the matrix units that WGSL can use: `16x16x16 f16→f32`.
    pub cooperative_matrices: Vec<String>,
    /// Why this engine cannot use it, if it cannot.
    pub unusable: Option<String>,
}

/// The adapter that the engine would take, and all others, best first.
#[derive(Clone)]
pub struct Adapters(Vec<wgpu::Adapter>);

/// The adapters that the engine would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// The best usable hardware adapter: see [`Adapters::hardware`].
    pub hardware: Option<usize>,
    /// The best usable one, software drivers included: see [`Adapters::any`].
    pub any: Option<usize>,
}

impl Adapters {
    /// Looks for adapters of every API this build supports. Environment variables of wgpu (`WGPU_BACKEND`, …) are heeded.
    pub async fn find() -> Self {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let mut adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
        adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
        Self(adapters)
    }

    /// A line of facts for each, best first.
    pub fn reports(&self) -> Vec<AdapterReport> {
        self.0.iter().map(report).collect()
    }

    /// The best usable hardware adapter.
    pub fn hardware(&self) -> Option<&wgpu::Adapter> {
        self.0.get(self.best().hardware?)
    }

    /// Places in [`Adapters::reports`] of those that are taken.
    pub fn best(&self) -> Best {
        let usable = || (0..).zip(&self.0).filter(|(_, adapter)| unusable_because(adapter).is_none());
        let is_hardware = |adapter: &wgpu::Adapter| adapter.get_info().device_type != wgpu::DeviceType::Cpu;
        Best {
            hardware: usable().find(|(_, adapter)| is_hardware(adapter)).map(|(place, _)| place),
            any: usable().next().map(|(place, _)| place),
        }
    }

    /// The best usable adapter, software drivers included.
    ///
    /// # Errors
    /// [`Error::NoGpu`] tells what was found and what to install.
    pub fn any(&self) -> Result<&wgpu::Adapter> {
        self.best().any.and_then(|place| self.0.get(place)).ok_or_else(|| {
            let found: Vec<String> = self.reports().iter().map(|report| report.name.clone()).collect();
            let found = if found.is_empty() { "no adapter at all".to_string() } else { found.join(", ") };
            Error::NoGpu(format!(
                "found {found}; install a Vulkan, Metal or DX12 driver (Debian's software one: mesa-vulkan-drivers), \
                 or use the CPU backend"
            ))
        })
    }

    /// Every usable adapter, best first.
    pub fn usable(&self) -> impl Iterator<Item = &wgpu::Adapter> {
        self.0.iter().filter(|adapter| unusable_because(adapter).is_none())
    }
}

/// Discrete before integrated before virtual before software; native APIs before others.
fn rank(info: &wgpu::AdapterInfo) -> (u8, u8) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    let api = match info.backend {
        wgpu::Backend::Vulkan | wgpu::Backend::Metal => 0,
        wgpu::Backend::Dx12 => 1,
        _ => 2,
    };
    (kind, api)
}

fn unusable_because(adapter: &wgpu::Adapter) -> Option<String> {
    let limits = adapter.limits();
    if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("no compute shaders".into());
    }
    if limits.max_storage_buffers_per_shader_stage < 8 {
        return Some(format!("binds {} storage buffers, 8 are needed", limits.max_storage_buffers_per_shader_stage));
    }
    if limits.max_compute_workgroup_storage_size < 16 << 10 {
        return Some(format!(
            "{} bytes of workgroup memory, 16384 are needed",
            limits.max_compute_workgroup_storage_size
        ));
    }
    None
}

fn report(adapter: &wgpu::Adapter) -> AdapterReport {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    AdapterReport {
        api: format!("{:?}", info.backend).to_lowercase(),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        name: info.name,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_buffer_bytes: limits.max_buffer_size,
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
        shader_f16: features.contains(wgpu::Features::SHADER_F16),
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        cooperative_matrices: adapter
            .cooperative_matrix_properties()
            .iter()
            .map(|shape| {
                let (m, n, k) = (shape.m_size, shape.n_size, shape.k_size);
                format!("{m}x{n}x{k} {:?}→{:?}", shape.ab_type, shape.cr_type).to_lowercase()
            })
            .collect(),
        unusable: unusable_because(adapter),
    }
}

/// An open device that remembers the first thing that went wrong on it.
pub(super) struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub limits: wgpu::Limits,
    /// What kernels are compiled with; 64-bit words only if the adapter has them.
    pub settings: Settings,
    /// Every buffer of this device is in it: all of them are made by [`Device::buffer`].
    pub tracker: MemoryTracker,
    failure: Arc<Mutex<Option<Failure>>>,
}

/// What went wrong on a device.
enum Failure {
    /// One call. The next may work.
    Refused(String),
    /// The device is gone for good.
    Lost(String),
}

/// A buffer that stands in the device's book. Clones are handles to the same buffer.
#[derive(Clone, Debug)]
pub(super) struct DeviceBuffer {
    buffer: wgpu::Buffer,
    entry: Option<Arc<Entry>>,
}

impl DeviceBuffer {
    /// Makes a larger one in its place. The old one is gone before, so that there are never both.
    pub fn replace(&mut self, device: &Device, label: &str, bytes: u64, usage: wgpu::BufferUsages) {
        self.buffer.destroy();
        self.entry = None;
        *self = device.buffer(label, bytes, usage);
    }
}

impl Deref for DeviceBuffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Device {
    /// For kernels with these settings.
    pub async fn open(adapter: &wgpu::Adapter, mut settings: Settings) -> Result<Self> {
        let limits = adapter.limits();
        let mut features = adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY);
        settings.u64_loads &= adapter.features().contains(wgpu::Features::SHADER_INT64);
        features.set(wgpu::Features::SHADER_INT64, settings.u64_loads);
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("cb-lab"),
                required_features: features,
                required_limits: limits.clone(),
                ..Default::default()
            })
            .await
            .map_err(|error| Error::NoGpu(format!("{}: {error}", adapter.get_info().name)))?;
        let failure = Arc::new(Mutex::new(None));
        let (on_error, on_lost) = (Arc::clone(&failure), Arc::clone(&failure));
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            remember(&on_error, Failure::Refused(error.to_string()));
        }));
        device.set_device_lost_callback(move |reason, message| {
            remember(&on_lost, Failure::Lost(format!("{reason:?}, {message}")));
        });
        let (info, tracker) = (adapter.get_info(), MemoryTracker::default());
        Ok(Self { device, queue, info, limits, settings, tracker, failure })
    }

    /// A zeroed buffer.
    pub fn buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> DeviceBuffer {
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        DeviceBuffer {
            buffer: self.device.create_buffer(&descriptor),
            entry: Some(Arc::new(self.tracker.enter(bytes))),
        }
    }

    /// Lanes of the smallest subgroup that a kernel may find itself in; 1 where it cannot exchange values in one.
    pub fn min_subgroup_size(&self) -> u32 {
        if !self.device.features().contains(wgpu::Features::SUBGROUP) {
            return 1;
        }
        match self.info.backend {
            // wgpu reports 4 there, whatever the GPU has. Apple's have 32, those of older Macs 8 and more.
            wgpu::Backend::Metal if self.info.name.starts_with("Apple") => 32,
            wgpu::Backend::Metal => 8,
            _ => self.info.subgroup_min_size,
        }
    }

    /// The first error since the last call. That the device is lost is told again and again.
    pub fn check(&self) -> Result<()> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match failure.take() {
            None => Ok(()),
            Some(Failure::Refused(message)) => Err(Error::Device(message)),
            Some(Failure::Lost(message)) => {
                *failure = Some(Failure::Lost(message.clone()));
                Err(Error::DeviceLost(message))
            }
        }
    }

    /// What a failed call is to be told as: what went wrong first on the device, since the rest follows from that, and else
    /// what the call says.
    pub fn error(&self, message: String) -> Error {
        // A driver's word that the device is gone comes with the next poll.
        let _ = self.device.poll(wgpu::PollType::Poll);
        match self.check() {
            Err(first) => first,
            Ok(()) => Error::Device(message),
        }
    }

    /// Waits for a submission and lets its callbacks run. In a browser they run by themselves.
    pub fn wait_for(&self, submission: &wgpu::SubmissionIndex) -> Result<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: None };
        match self.device.poll(wait) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(error.to_string())),
        }
    }
}

/// Keeps the first failure, but for that the device is lost, which is worse than any.
fn remember(slot: &Mutex<Option<Failure>>, failure: Failure) {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match (&*slot, &failure) {
        (Some(Failure::Lost(_)), _) | (Some(_), Failure::Refused(_)) => {}
        _ => *slot = Some(failure),
    }
}
