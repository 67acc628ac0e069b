//! What the text of a kernel must be before a device sees it: valid WGSL, with the entry point, the bindings and the
//! overrides that the engine uses. A driver would say the same later, and without the file.

use super::shader_excerpt::Fault;
use crate::backend::gpu::{Access, Kernel, PARAMS_BYTES, Variant};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, Span, StorageAccess};
use std::error::Error;

/// Checks the text of a kernel.
///
/// # Errors
/// The first fault.
pub fn check(kernel: Kernel, wgsl: &str) -> Result<(), Fault> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| Fault {
        message: error.message().into(),
        places: error.labels().filter_map(|(span, label)| Some((span.to_range()?, label.to_owned()))).collect(),
        notes: error.notes().map(str::to_owned).collect(),
    })?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    validator.validate(&module).map_err(|error| Fault {
        message: error.to_string(),
        places: error.spans().filter_map(|(span, label)| Some((span.to_range()?, label.clone()))).collect(),
        notes: causes(error.as_inner()),
    })?;
    check_entry_point(&module)?;
    check_bindings(kernel, &module)?;
    check_overrides(kernel, &module)
}

/// What is behind an error, from the nearest on.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

fn check_entry_point(module: &Module) -> Result<(), Fault> {
    let is_main = |entry: &naga::EntryPoint| entry.stage == ShaderStage::Compute && entry.name == "main";
    if module.entry_points.iter().any(is_main) {
        return Ok(());
    }
    let others: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
    let found = if others.is_empty() { "none".into() } else { others.join(", ") };
    Err(Fault::new(format!(
        "it has no entry point `main`, which the engine calls; its entry points: {found}. Write `@compute \
         @workgroup_size(WORKGROUP_SIZE)` before `fn main`"
    )))
}

/// Binding 0 is the params, the buffers follow.
fn check_bindings(kernel: Kernel, module: &Module) -> Result<(), Fault> {
    let buffers = kernel.source().buffers;
    for (handle, variable) in module.global_variables.iter() {
        let Some(naga::ResourceBinding { group, binding }) = variable.binding else { continue };
        let name = variable.name.as_deref().unwrap_or_default();
        let fault = |message: String| Err(at(module.global_variables.get_span(handle), message));
        let wanted = match binding {
            0 => Some(AddressSpace::Uniform),
            _ => buffers.get(binding as usize - 1).map(|access| AddressSpace::Storage {
                access: match access {
                    Access::Read => StorageAccess::LOAD,
                    Access::ReadWrite => StorageAccess::LOAD | StorageAccess::STORE,
                },
            }),
        };
        let Some(wanted) = wanted.filter(|_| group == 0) else {
            return fault(format!(
                "`{name}` is at @group({group}) @binding({binding}), and the engine binds @group(0) @binding(0) to \
                 @binding({})",
                buffers.len()
            ));
        };
        if variable.space != wanted {
            let (is, binds) = (declaration(variable.space), declaration(wanted));
            return fault(format!("`{name}` at @binding({binding}) is {is}, and the engine binds {binds} there"));
        }
        let bytes = u64::from(module.types[variable.ty].inner.size(module.to_ctx()));
        if binding == 0 && bytes > PARAMS_BYTES {
            return fault(format!("`{name}` has {bytes} bytes, and the engine binds {PARAMS_BYTES} for the params"));
        }
    }
    Ok(())
}

/// The engine sets some overrides of each kernel; all others need a value of their own.
fn check_overrides(kernel: Kernel, module: &Module) -> Result<(), Fault> {
    let variants = Variant::all_in_use().into_iter().filter(|variant| variant.kernel == kernel);
    let set: Vec<&str> = variants.flat_map(|variant| variant.overrides).map(|(name, _)| name).collect();
    let is_declared = |name: &str| module.overrides.iter().any(|(_, declared)| declared.name.as_deref() == Some(name));
    if let Some(name) = set.iter().find(|name| !is_declared(name)) {
        return Err(Fault::new(format!("it has no `override {name}: u32`, which the engine sets")));
    }
    for (handle, declared) in module.overrides.iter().filter(|(_, declared)| declared.init.is_none()) {
        let name = declared.name.as_deref().unwrap_or_default();
        if !set.contains(&name) {
            let message = format!("the engine sets no override `{name}`: give it a value, or make it a const");
            return Err(at(module.overrides.get_span(handle), message));
        }
    }
    Ok(())
}

fn at(span: Span, message: String) -> Fault {
    let places = span.to_range().into_iter().map(|range| (range, String::new())).collect();
    Fault { places, ..Fault::new(message) }
}

fn declaration(space: AddressSpace) -> &'static str {
    match space {
        AddressSpace::Uniform => "var<uniform>",
        AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => "var<storage, read_write>",
        AddressSpace::Storage { .. } => "var<storage, read>",
        AddressSpace::Handle => "a texture or sampler",
        _ => "no buffer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_themselves_pass() {
        for kernel in Kernel::ALL {
            let source = kernel.source();
            check(kernel, &source.wgsl()).unwrap_or_else(|fault| panic!("{}: {}", source.name, fault.message));
        }
    }

    #[test]
    fn what_the_engine_uses_must_be_there() {
        let wgsl = Kernel::RmsNorm.source().wgsl();
        let cases = [
            ("fn main(", "fn mian(", "no entry point `main`"),
            ("@binding(2)", "@binding(7)", "@binding(7), and the engine binds @group(0) @binding(0) to @binding(3)"),
            ("@group(0) @binding(1)", "@group(1) @binding(1)", "is at @group(1) @binding(1)"),
            ("@binding(1) var<storage, read>", "@binding(1) var<storage, read_write>", "at @binding(1) is"),
            ("override WORKGROUP_SIZE", "const WORKGROUP_SIZE", "no `override WORKGROUP_SIZE: u32`"),
            ("struct Params {", "override MORE: u32;\nstruct Params {", "sets no override `MORE`"),
            ("struct Params {", "struct Params {\n    more: array<vec4<f32>, 4>,", "engine binds 64 for the params"),
        ];
        for (from, to, says) in cases {
            let changed = wgsl.replacen(from, to, 1);
            assert_ne!(changed, wgsl, "{from}");
            let fault = check(Kernel::RmsNorm, &changed).err().unwrap_or_else(|| panic!("{to} passes"));
            assert!(fault.message.contains(says), "{to}: {}", fault.message);
        }
    }
}
