//! `cb-lab devices --dump-shaders`: each kernel variant as a WGSL file that stands alone, to read or to give to a tool.

use crate::backend::gpu::{Variant, for_browsers};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes `linear-WORKGROUP_SIZE=64-ROW_TILE=8.wgsl` and all others into `dir`, which is made if need be; returns how many.
///
/// # Errors
/// [`Error::WriteFile`] names the file or folder.
pub fn write(dir: &Path) -> Result<usize> {
    let named = |variant: Variant| (variant.label().replace(' ', "-") + ".wgsl", for_browsers(&variant.final_wgsl()));
    let files: BTreeMap<String, String> = Variant::all_in_use().into_iter().map(named).collect();
    let unwritable = |path: &Path, source| Error::WriteFile { path: path.into(), source };
    std::fs::create_dir_all(dir).map_err(|source| unwritable(dir, source))?;
    for (name, wgsl) in &files {
        let path = dir.join(name);
        std::fs::write(&path, wgsl).map_err(|source| unwritable(&path, source))?;
    }
    Ok(files.len())
}
