//! `--shaders DIR`: kernels from WGSL files of a folder, so that an edit runs without building anything.
//!
//! The folder looks like shaders/ of this repository: `linear.wgsl`, `shared/tile.wgsl`. What it lacks is taken from the
//! program itself. A kernel that differs reads words of 32 bits on every device: `four_u64.wgsl` and `pair_u64.wgsl` stand in
//! for files of the program alone.

use super::shader_check::check;
use super::shader_folder;
use super::wording::count_text;
use crate::backend::gpu::{Kernel, composed};
use crate::error::{Error, Result};
use std::path::Path;

/// The kernels that differ from the program's own.
pub struct CustomShaders {
    /// The text of each of these kernels, its shared parts appended.
    pub kernels: Vec<(Kernel, String)>,
    /// For people: which files were taken, and which of them differ.
    pub line: String,
}

/// Reads a folder, and checks each kernel that differs.
///
/// # Errors
/// [`Error::ReadFile`] if the folder or a file cannot be read, [`Error::InvalidFile`] with the place if a kernel is not valid
/// WGSL or not what the engine binds and calls, or if the folder holds none of the files, or others.
pub fn read(dir: &Path) -> Result<CustomShaders> {
    let taken = shader_folder::read(dir)?;
    let files = || Kernel::ALL.into_iter().flat_map(|kernel| kernel.source().files.iter().copied());
    let is_new =
        |(name, built_in): (&'static str, &str)| taken.get(name).filter(|text| *text != built_in).map(|_| name);
    let mut differing: Vec<&str> = Vec::new();
    for name in files().filter_map(is_new) {
        if !differing.contains(&name) {
            differing.push(name);
        }
    }

    let mut kernels = Vec::new();
    for kernel in Kernel::ALL {
        let files = kernel.source().files;
        if files.iter().any(|(name, _)| differing.contains(name)) {
            let part = |&(name, built_in): &(&'static str, &'static str)| {
                (name, taken.get(name).map_or(built_in, String::as_str))
            };
            let parts: Vec<(&str, &str)> = files.iter().map(part).collect();
            kernels.push((kernel, checked(dir, kernel, &parts)?));
        }
    }
    let differing = if differing.is_empty() { "none".into() } else { differing.join(", ") };
    let line = format!("{} from {}; changed: {differing}", count_text(taken.len(), "shader file"), dir.display());
    Ok(CustomShaders { kernels, line })
}

/// The text of a kernel made of these files, if the engine can run it.
fn checked(dir: &Path, kernel: Kernel, parts: &[(&str, &str)]) -> Result<String> {
    let wgsl = composed(parts);
    match check(kernel, &wgsl) {
        Ok(()) => Ok(wgsl),
        Err(fault) => {
            let (name, reason) = fault.in_files(parts);
            Err(Error::InvalidFile { path: dir.join(name), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_of_changed_files_alone_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).err().unwrap().to_string().contains("no shader"));
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let source = Kernel::GatherRows.source();
        write("gather_rows.wgsl", &source.wgsl());
        let same = read(dir.path()).unwrap();
        assert!(same.kernels.is_empty() && same.line.contains("1 shader file") && same.line.ends_with("none"));

        std::fs::create_dir(dir.path().join("shared")).unwrap();
        write("shared/silu.wgsl", "fn silu(x: f32) -> f32 { return x; }\n");
        let found = read(dir.path());
        // Only the versions that share it.
        let found = found.unwrap_or_else(|error| panic!("{error}"));
        let kernels: Vec<Kernel> = found.kernels.iter().map(|(kernel, _)| *kernel).collect();
        let all = Kernel::ALL.into_iter().filter(|kernel| kernel.naive() == Kernel::GatedLinear);
        assert_eq!(kernels, all.collect::<Vec<_>>());
        assert!(found.kernels.iter().all(|(_, wgsl)| wgsl.contains("{ return x; }")));

        write("shared/silu.wgsl", "\nfn silu(x: f32) -> f32 { return y; }\n");
        let refused = read(dir.path()).err().unwrap().to_string();
        assert!(refused.contains("silu.wgsl: line 2: no definition in scope"), "{refused}");
        assert!(
            refused.contains("\n  shared/silu.wgsl:2:33\n  2 │ fn silu(x: f32) -> f32 { return y; }\n"),
            "{refused}"
        );
        assert!(!refused.contains("gated_linear"), "the fault is not there: {refused}");
    }
}
