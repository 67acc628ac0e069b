//! The files of a `--shaders` folder: those that the engine loads, and a complaint about all others, which would be passed
//! over silently.

use super::nearest::nearest;
use crate::backend::gpu::{Kernel, StandIn};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The folder of what several kernels share.
const SHARED: &str = "shared";
/// Strangers named at most: somebody may have named another folder altogether.
const MOST_NAMED: usize = 6;

/// The name below `dir` and the text of each shader that is there.
///
/// # Errors
/// [`Error::ReadFile`] if the folder or a file cannot be read, [`Error::InvalidFile`] if the folder holds none of the shaders,
/// or anything else. Files with a dot in front and those that end in `~` are an editor's.
pub fn read(dir: &Path) -> Result<BTreeMap<&'static str, String>> {
    let refuse = |reason| Err(Error::InvalidFile { path: dir.into(), reason });
    let known = || Kernel::ALL.into_iter().flat_map(|kernel| kernel.source().files.iter().map(|(name, _)| *name));
    let mut taken = BTreeMap::new();
    let mut strangers = Vec::new();
    for name in names(dir)? {
        let stand_in = StandIn::ALL.into_iter().find(|stand_in| stand_in.name == name);
        match (known().find(|known| *known == name), stand_in) {
            (Some(known), _) => drop(taken.insert(known, read_text(&dir.join(known))?)),
            (None, Some(stand_in)) if stand_in.is(&read_text(&dir.join(&name))?) => (),
            (None, Some(StandIn { stands_for, .. })) => {
                return refuse(format!("{name} has changed, and is never taken from a folder: change {stands_for}"));
            }
            (None, None) => strangers.push(name),
        }
    }
    let meant = |name: &str| nearest_shader(name, known());
    if taken.is_empty() && strangers.iter().all(|name| meant(name).is_none()) {
        return refuse("it holds no shader, such as linear.wgsl or shared/tile.wgsl".into());
    }
    if strangers.is_empty() {
        return Ok(taken);
    }
    let named = strangers.iter().take(MOST_NAMED).map(|name| {
        let hint = meant(name).map_or(String::new(), |meant| format!(" (is it {meant}?)"));
        format!("{name}{hint}")
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = strangers.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    refuse(format!("the engine loads no shader of such a name: {named}{more}; rename it, or take it away"))
}

/// All files of the folder and of `shared` in it, in order. Another folder is named with a slash behind it.
fn names(dir: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (prefix, folder) in [("", dir.to_path_buf()), ("shared/", dir.join(SHARED))] {
        if !prefix.is_empty() && !folder.is_dir() {
            continue;
        }
        let unreadable = |source| Error::ReadFile { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.path().is_dir();
            let is_shared = is_folder && prefix.is_empty() && name == SHARED;
            if !is_shared && !name.starts_with('.') && !name.ends_with('~') {
                names.push(format!("{prefix}{name}{}", if is_folder { "/" } else { "" }));
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A shader with nearly this name; it may have been put into the wrong folder.
fn nearest_shader(name: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
    let shaders: BTreeMap<&str, &'static str> = known.map(|path| (last(path), path)).collect();
    let file = name.trim_end_matches('/').rsplit('/').next()?;
    shaders.get(nearest(file, shaders.keys().copied())?).copied()
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::ReadFile { path: path.into(), source })
}
