//! WGSL and Rust agree on params and bindings, by reflection and without a GPU.

use crate::translate::parse;
use cb_lab::backend::gpu::{Access, Kernel};
use cb_lab::backend::params::*;
use libtest_mimic::Trial;
use naga::{AddressSpace, StorageAccess, TypeInner};

pub fn trials() -> Vec<Trial> {
    let trial = |kernel: Kernel| {
        let name = kernel.source().name;
        [
            Trial::test(format!("{name}/params as in Rust [layout]"), move || Ok(params(kernel)?)),
            Trial::test(format!("{name}/bindings as in the kernel table [layout]"), move || Ok(bindings(kernel)?)),
        ]
    };
    Kernel::ALL.into_iter().flat_map(trial).collect()
}

/// Names and offsets of the Rust struct's fields.
fn fields(kernel: Kernel) -> &'static [(&'static str, usize)] {
    match kernel.naive() {
        Kernel::EmbedTokens => EmbedTokensParams::FIELDS,
        Kernel::RmsNorm => RmsNormParams::FIELDS,
        Kernel::Linear => LinearParams::FIELDS,
        Kernel::GatedLinear => GatedLinearParams::FIELDS,
        Kernel::RopeStoreKv => RopeStoreKvParams::FIELDS,
        Kernel::RaggedAttention | Kernel::PagedAttention => AttentionParams::FIELDS,
        Kernel::MergeSplits => MergeSplitsParams::FIELDS,
        Kernel::GatherRows => GatherRowsParams::FIELDS,
        Kernel::Sample => SampleParams::FIELDS,
        faster => unreachable!("{faster:?} is not naive"),
    }
}

fn params(kernel: Kernel) -> Result<(), String> {
    let module = parse(&kernel.source().wgsl())?.0;
    let structs = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Params"));
    let Some(TypeInner::Struct { members, .. }) = structs.map(|(_, ty)| &ty.inner) else {
        return Err("there is no struct Params".into());
    };
    let wgsl: Vec<(&str, usize)> =
        members.iter().map(|member| (member.name.as_deref().unwrap_or_default(), member.offset as usize)).collect();
    if wgsl == fields(kernel) { Ok(()) } else { Err(format!("WGSL {wgsl:?}\nRust {:?}", fields(kernel))) }
}

fn bindings(kernel: Kernel) -> Result<(), String> {
    let module = parse(&kernel.source().wgsl())?.0;
    let mut found: Vec<(u32, u32, Option<Access>)> = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        let access = match variable.space {
            AddressSpace::Uniform => None,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Some(Access::ReadWrite),
            AddressSpace::Storage { .. } => Some(Access::Read),
            space => return Err(format!("a binding in {space:?}")),
        };
        found.push((binding.group, binding.binding, access));
    }
    found.sort_by_key(|&(group, binding, _)| (group, binding));
    let buffers = kernel.source().buffers;
    let mut expected = vec![(0, 0, None)];
    expected.extend((1..).zip(buffers).map(|(binding, &access)| (0, binding, Some(access))));
    if found != expected {
        return Err(format!("WGSL {found:?}\ntable {expected:?}"));
    }
    if buffers.len() > 8 { Err(format!("{} storage buffers, 8 are allowed", buffers.len())) } else { Ok(()) }
}
