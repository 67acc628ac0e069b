//! Every variant in use becomes SPIR-V, MSL and HLSL, and fits the workgroup memory it was chosen for. No GPU.

use cb_lab::backend::gpu::{Kernel, Lanes, Tuning, Variant, with_shuffled_x, with_u64_loads};
use cb_lab::backend::params::AttentionParams;
use libtest_mimic::Trial;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, back};
use std::collections::BTreeSet;

/// unpack2x16float: every backend of wgpu has it.
const CAPABILITIES: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;

pub fn trials() -> Vec<Trial> {
    let of_kernel = |kernel: Kernel| {
        let all = move || {
            let variants: Vec<Variant> = Variant::all_in_use().into_iter().filter(|v| v.kernel == kernel).collect();
            if variants.is_empty() {
                return Err("no variant is in use".into());
            }
            for variant in variants {
                translate(&variant).map_err(|error| format!("{}: {error}", variant.label()))?;
            }
            Ok(())
        };
        Trial::test(format!("{}/variants translate [naga]", kernel.source().name), all)
    };
    let mut trials: Vec<Trial> = Kernel::ALL.into_iter().map(of_kernel).collect();
    trials.push(Trial::test("workgroup memory/variants fit [naga]", || Ok(variants_fit()?)));
    trials.push(Trial::test("words of 64 bits/kernels translate [naga]", || Ok(u64_loads_translate()?)));
    trials
}

/// Parses and validates, as for a device without any optional feature but subgroups, and those only if they are named.
pub fn parse(wgsl: &str) -> Result<(Module, ModuleInfo), String> {
    parse_for(wgsl, CAPABILITIES)
}

/// The same for a device with such features.
fn parse_for(wgsl: &str, capabilities: Capabilities) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    if wgsl.contains("subgroupShuffle") {
        validator = Validator::new(ValidationFlags::all(), capabilities | Capabilities::SUBGROUP);
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    }
    let info = validator.validate(&module).map_err(|error| error.emit_to_string(wgsl))?;
    Ok((module, info))
}

fn translate(variant: &Variant) -> Result<(), String> {
    parse(&variant.final_wgsl()).map_err(|error| format!("as a file that stands alone: {error}"))?;
    let (module, info) = with_values(variant)?;
    let text = |error: &dyn std::fmt::Display, to: &str| format!("to {to}: {error}");

    let spv = back::spv::Options { lang_version: (1, 3), ..Default::default() };
    back::spv::write_vec(&module, &info, &spv, None).map_err(|e| text(&e, "SPIR-V"))?;
    let msl = back::msl::Options { lang_version: (2, 1), ..Default::default() };
    back::msl::write_string(&module, &info, &msl, &Default::default()).map_err(|e| text(&e, "MSL"))?;
    let hlsl = back::hlsl::Options { shader_model: back::hlsl::ShaderModel::V6_0, ..Default::default() };
    let pipeline = Default::default();
    let mut out = String::new();
    back::hlsl::Writer::new(&mut out, &hlsl, &pipeline)
        .write(&module, &info, None)
        .map_err(|e| text(&e, "HLSL"))
        .map(|_| ())
}

/// The kernels that can read 64-bit words, for a device that has them.
fn u64_loads_translate() -> Result<(), String> {
    let mut in_both_words = BTreeSet::new();
    for variant in Variant::all_in_use() {
        let words = with_shuffled_x(&variant.final_wgsl());
        let u64_loads = with_u64_loads(&words);
        if words != u64_loads {
            let (module, info) = parse_for(&u64_loads, CAPABILITIES | Capabilities::SHADER_INT64)?;
            let spv = back::spv::Options { lang_version: (1, 3), ..Default::default() };
            back::spv::write_vec(&module, &info, &spv, None).map_err(|error| error.to_string())?;
            parse(&u64_loads).err().ok_or("a device without such words takes them")?;
            in_both_words.insert(variant.kernel.source().name);
        }
    }
    let linears = [
        "gated_linear_interleaved",
        "gated_linear_split",
        "gated_linear_tiles",
        "linear_interleaved",
        "linear_split",
        "linear_tiles",
    ];
    // The naive attention and linear_split never get them, but share functions that can read either.
    let attention = ["paged_attention", "paged_attention_subgroup", "ragged_attention", "ragged_attention_subgroup"];
    let as_expected = in_both_words.iter().eq(linears.iter().chain(&attention));
    if as_expected { Ok(()) } else { Err(format!("64-bit words are read by {in_both_words:?}")) }
}

/// The kernel's module with the variant's values in place of its overrides.
fn with_values(variant: &Variant) -> Result<(Module, ModuleInfo), String> {
    let (module, info) = parse(&variant.kernel.source().wgsl())?;
    let values = variant.overrides.iter().map(|&(name, value)| (name.to_string(), f64::from(value))).collect();
    let (module, info) =
        back::pipeline_constants::process_overrides(&module, &info, Some((ShaderStage::Compute, "main")), &values)
            .map_err(|error| error.to_string())?;
    Ok((module.into_owned(), info.into_owned()))
}

/// Bytes of `var<workgroup>`, each variable rounded up to 16 as wgpu counts them.
fn workgroup_bytes(variant: &Variant) -> Result<u32, String> {
    let (module, _) = with_values(variant)?;
    let shared = module.global_variables.iter().filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    Ok(shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16)).sum())
}

/// Devices differ in workgroup memory; the least that WebGPU promises is 16 KiB.
fn variants_fit() -> Result<(), String> {
    let none = Lanes { in_order: 1, tuning: Tuning::Software };
    let (eight, many) = (Lanes { in_order: 8, ..none }, Lanes { in_order: 32, tuning: Tuning::Gpu });
    for variant in Variant::all_in_use() {
        let (Some(head_dim), Some(group), Some(block_size)) =
            (variant.value("HEAD_DIM"), variant.value("GROUP"), variant.value("BLOCK_SIZE"))
        else {
            if workgroup_bytes(&variant)? > 16 << 10 {
                return Err(format!("{} needs more than 16 KiB", variant.label()));
            }
            continue;
        };
        let p =
            AttentionParams { num_heads: group, num_kv_heads: 1, head_dim, block_size, ..bytemuck::Zeroable::zeroed() };
        for limit in [16 << 10, 32 << 10, 48 << 10] {
            for chosen in [
                Variant::ragged_attention(&p, limit, none),
                Variant::ragged_attention(&p, limit, eight),
                Variant::ragged_attention(&p, limit, many),
                Variant::paged_attention(&p, none),
                Variant::paged_attention(&p, eight),
                Variant::paged_attention(&p, many),
            ] {
                let bytes = workgroup_bytes(&chosen)?;
                if bytes > limit {
                    return Err(format!("{} needs {bytes} bytes of {limit}", chosen.label()));
                }
            }
        }
    }
    Ok(())
}
