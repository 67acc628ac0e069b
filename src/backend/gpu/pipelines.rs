//! Pipelines and bind groups, made when first used and kept.

use super::device::Device;
use super::kernels::{Access, Kernel, with_shuffled_x, with_u64_loads};
use super::subgroups::for_browsers;
use super::variants::Variant;
use std::collections::HashMap;

/// A pipeline per variant, a bind group per kernel and set of buffers.
#[derive(Default)]
pub(super) struct Pipelines {
    layouts: HashMap<Kernel, wgpu::BindGroupLayout>,
    /// With words of 64 bits, or without.
    modules: HashMap<(Kernel, bool), wgpu::ShaderModule>,
    pipelines: HashMap<Variant, wgpu::ComputePipeline>,
    bind_groups: HashMap<(Kernel, Vec<wgpu::Buffer>), wgpu::BindGroup>,
    /// WGSL to compile instead of a kernel's own.
    replaced: Vec<(Kernel, String)>,
}

impl Pipelines {
    /// No pipelines yet; kernels named in `replaced` will be compiled from that text.
    pub fn new(replaced: Vec<(Kernel, String)>) -> Self {
        Self { replaced, ..Self::default() }
    }

    /// Makes the pipeline if this variant is new.
    pub fn prepare(&mut self, device: &Device, variant: &Variant) {
        if self.pipelines.contains_key(variant) {
            return;
        }
        let source = variant.kernel.source();
        let layout = self.layouts.entry(variant.kernel).or_insert_with(|| bind_group_layout(device, variant.kernel));
        let replaced = self.replaced.iter().find(|(kernel, _)| *kernel == variant.kernel);
        // A text from outside was written, and checked, for words of 32 bits. How it gets x is the same to it either way.
        let u64_loads = replaced.is_none() && device.settings.u64_loads && variant.takes_u64_loads();
        let module = self.modules.entry((variant.kernel, u64_loads)).or_insert_with(|| {
            let wgsl = replaced.map_or_else(|| source.wgsl(), |(_, wgsl)| wgsl.clone());
            let wgsl = if device.settings.shuffles_x { with_shuffled_x(&wgsl) } else { wgsl };
            let wgsl = if u64_loads { with_u64_loads(&wgsl) } else { wgsl };
            let wgsl = if cfg!(target_family = "wasm") { for_browsers(&wgsl) } else { wgsl };
            device.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(source.name),
                source: wgpu::ShaderSource::Wgsl(wgsl.into()),
            })
        });
        let pipeline_layout = device.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(source.name),
            bind_group_layouts: &[Some(layout)],
            immediate_size: 0,
        });
        let constants: Vec<(&str, f64)> =
            variant.overrides.iter().map(|&(name, value)| (name, f64::from(value))).collect();
        let pipeline = device.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(source.name),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // Every kernel writes workgroup memory before it reads it; zeroing costs up to 10x on some drivers.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        self.pipelines.insert(variant.clone(), pipeline);
    }

    /// The pipeline of a prepared variant.
    pub fn pipeline(&self, variant: &Variant) -> &wgpu::ComputePipeline {
        &self.pipelines[variant]
    }

    /// The bind group of a prepared variant's kernel: params from `params` by dynamic offset, then `buffers`.
    pub fn bind_group(
        &mut self,
        device: &Device,
        kernel: Kernel,
        params: &wgpu::Buffer,
        buffers: &[wgpu::Buffer],
    ) -> wgpu::BindGroup {
        let key = (kernel, buffers.to_vec());
        let layout = &self.layouts[&kernel];
        let make = || {
            let params = wgpu::BufferBinding { buffer: params, offset: 0, size: wgpu::BufferSize::new(PARAMS_BYTES) };
            let mut entries =
                vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(params) }];
            entries.extend(
                (1..)
                    .zip(buffers)
                    .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }),
            );
            device.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
        };
        self.bind_groups.entry(key).or_insert_with(make).clone()
    }

    /// How many bind groups and pipelines are kept.
    pub fn kept(&self) -> (usize, usize) {
        (self.bind_groups.len(), self.pipelines.len())
    }

    /// Forgets all bind groups: one of their buffers, such as that of the params, is to go.
    pub fn forget_bind_groups(&mut self) {
        self.bind_groups.clear();
    }
}

/// What a kernel may read of the params buffer from its offset on; the largest params struct is 52 bytes.
pub const PARAMS_BYTES: u64 = 64;

fn bind_group_layout(device: &Device, kernel: Kernel) -> wgpu::BindGroupLayout {
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let source = kernel.source();
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
    entries.extend((1..).zip(source.buffers).map(|(binding, access)| {
        entry(binding, wgpu::BufferBindingType::Storage { read_only: *access == Access::Read }, false)
    }));
    device
        .device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(source.name), entries: &entries })
}
