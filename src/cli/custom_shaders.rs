//! `--shaders DIR`: kernels from WGSL files of a folder, so that an edit runs without building anything.
//!
//! The folder looks like shaders/ of this repository: `linear.wgsl`, `shared/tile.wgsl`. What it lacks is taken from the
//! program itself. A kernel that differs reads words of 32 bits on every device: `four_u64.wgsl` and `pair_u64.wgsl` stand in
//! for files of the program alone.

use super::wording::count_text;
use crate::backend::gpu::{Kernel, composed};
use crate::error::{Error, Result};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use std::collections::BTreeMap;
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
/// [`Error::ReadFile`] if the folder or a file cannot be read, [`Error::InvalidFile`] with the place and naga's message if
/// a kernel is not valid WGSL, or if the folder holds none of the files.
pub fn read(dir: &Path) -> Result<CustomShaders> {
    let unreadable = |path: &Path, source| Error::ReadFile { path: path.into(), source };
    // The folder's own error says more than that of every file in it.
    std::fs::read_dir(dir).map_err(|source| unreadable(dir, source))?;

    let mut taken: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut differing: Vec<&str> = Vec::new();
    for (name, built_in) in Kernel::ALL.into_iter().flat_map(|kernel| kernel.source().files.iter().copied()) {
        if taken.contains_key(name) {
            continue;
        }
        let path = dir.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(&path, error)),
        };
        if text.as_ref().is_some_and(|text| text != built_in) {
            differing.push(name);
        }
        taken.insert(name, text);
    }
    let num_taken = taken.values().flatten().count();
    if num_taken == 0 {
        let reason = "it holds no shader, such as linear.wgsl or shared/tile.wgsl".into();
        return Err(Error::InvalidFile { path: dir.into(), reason });
    }

    let mut kernels = Vec::new();
    for kernel in Kernel::ALL {
        let files = kernel.source().files;
        if files.iter().any(|(name, _)| differing.contains(name)) {
            let part = |&(name, built_in): &(&'static str, &'static str)| {
                (name, taken.get(name).and_then(Option::as_deref).unwrap_or(built_in))
            };
            let parts: Vec<(&str, &str)> = files.iter().map(part).collect();
            kernels.push((kernel, checked(dir, &parts)?));
        }
    }
    let differing = if differing.is_empty() { "none".into() } else { differing.join(", ") };
    let line = format!("{} from {}; changed: {differing}", count_text(num_taken, "shader file"), dir.display());
    Ok(CustomShaders { kernels, line })
}

/// The text of a kernel made of these files, if naga takes it.
fn checked(dir: &Path, parts: &[(&str, &str)]) -> Result<String> {
    let wgsl = composed(parts);
    let refuse = |line: Option<u32>, message: String| {
        let (name, line) = place(parts, line);
        let at = line.map_or(String::new(), |line| format!("line {line}: "));
        Err(Error::InvalidFile { path: dir.join(name), reason: format!("{at}{}", message.trim()) })
    };
    let name = parts.first().map_or("", |(name, _)| *name);
    let module = match naga::front::wgsl::parse_str(&wgsl) {
        Ok(module) => module,
        Err(error) => {
            let line = error.location(&wgsl).map(|location| location.line_number);
            return refuse(line, error.emit_to_string_with_path(&wgsl, name));
        }
    };
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    match validator.validate(&module) {
        Ok(_) => Ok(wgsl),
        Err(error) => {
            let line = error.location(&wgsl).map(|location| location.line_number);
            refuse(line, error.emit_to_string_with_path(&wgsl, name))
        }
    }
}

/// In which of the files, one after the other, a line is, and which line of that it is.
fn place<'a>(parts: &[(&'a str, &str)], line: Option<u32>) -> (&'a str, Option<u32>) {
    let first = parts.first().map_or("", |(name, _)| *name);
    let Some(mut line) = line else { return (first, None) };
    for (name, text) in parts {
        // Between two files stands one line break more.
        let lines = text.matches('\n').count() as u32 + 1;
        if line <= lines {
            return (name, Some(line));
        }
        line -= lines;
    }
    (first, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_of_its_file() {
        let parts = [("a", "1\n2\n"), ("b", "5"), ("c", "6\n7\n")];
        let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("c", 2), ("c", 3)];
        for (line, (name, in_file)) in (1..).zip(expected) {
            assert_eq!(place(&parts, Some(line)), (name, Some(in_file)), "line {line}");
        }
        assert_eq!(place(&parts, None), ("a", None));
    }

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
        // Only the three versions that share it.
        let found = found.unwrap_or_else(|error| panic!("{error}"));
        let kernels: Vec<Kernel> = found.kernels.iter().map(|(kernel, _)| *kernel).collect();
        assert_eq!(kernels, [Kernel::GatedLinear, Kernel::GatedLinearInterleaved, Kernel::GatedLinearTiles]);
        assert!(found.kernels.iter().all(|(_, wgsl)| wgsl.contains("{ return x; }")));

        write("shared/silu.wgsl", "\nfn silu(x: f32) -> f32 { return y; }\n");
        let refused = read(dir.path()).err().unwrap().to_string();
        assert!(refused.contains("silu.wgsl: line 2: ") && refused.contains("no definition in scope"), "{refused}");
    }
}
