//! Weights in files: where each tensor is. What a model wants of them is checked before any of it is read.
//!
//! A safetensors file is 8 bytes (the header's length, little endian), the header (JSON: name, dtype, shape and offsets
//! of each tensor), and the tensors one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::folder::ModelFolder;
use super::folder_file::FolderFile;
use super::json::stand_in;
use super::reading::Reading;
use super::tensor_chunks::TensorChunks;
use crate::core::wording::list_text;
use crate::error::{Error, Result};

const SINGLE_FILE: &str = "model.safetensors";
const INDEX_FILE: &str = "model.safetensors.index.json";

/// Bytes before the header.
const PREFIX_BYTES: u64 = 8;
/// So much of its start tells what a file is if it holds no weights.
const SHOWN_BYTES: u64 = 512;
/// Longest header: about 100 000 tensors. The largest model this engine runs has some 1500.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The tensors of a model, in one file or several shards. Holds headers only; weights stay on disk.
#[derive(Debug)]
pub struct WeightFiles {
    folder: ModelFolder,
    shards: Vec<Shard>,
    /// The shard that holds each tensor.
    shard_of: BTreeMap<String, usize>,
    reading: Reading,
}

/// One safetensors file.
#[derive(Debug)]
struct Shard {
    name: String,
    header: Metadata,
    /// Where the first tensor begins.
    data_start: u64,
}

/// `model.safetensors.index.json`; what else it holds does not matter here.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl WeightFiles {
    /// Reads the headers of `model.safetensors`, or of the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// [`Error::ReadFile`] if there is neither, [`Error::InvalidFile`] if a file is truncated or its header makes no
    /// sense, [`Error::InvalidTensor`] if a shard lacks what the index says it holds.
    pub async fn open(folder: &ModelFolder) -> Result<Self> {
        let (shards, shard_of) = Self::open_shards(folder).await?;
        let all_bytes = shards.iter().map(|shard| shard.header.data_len() as u64).sum();
        Ok(Self { folder: folder.clone(), shards, shard_of, reading: Reading::of(all_bytes) })
    }

    /// The files, and which of them holds each tensor.
    async fn open_shards(folder: &ModelFolder) -> Result<(Vec<Shard>, BTreeMap<String, usize>)> {
        let (mut shards, mut shard_of) = (Vec::new(), BTreeMap::new());
        if folder.contains(SINGLE_FILE) || !folder.contains(INDEX_FILE) {
            if !folder.contains(SINGLE_FILE)
                && let Some(error) = other_weights(folder)
            {
                return Err(error);
            }
            let shard = Shard::open(folder, SINGLE_FILE).await?;
            shard_of.extend(shard.header.offset_keys().into_iter().map(|tensor| (tensor, 0)));
            shards.push(shard);
            return Ok((shards, shard_of));
        }
        let index: Index = folder.read_json(INDEX_FILE)?;
        check_shards(folder, &index)?;
        for (tensor, name) in index.weight_map {
            let known = shards.iter().position(|shard| shard.name == name);
            let shard_idx = known.unwrap_or(shards.len());
            if known.is_none() {
                shards.push(Shard::open(folder, &name).await?);
            }
            if shards[shard_idx].header.info(&tensor).is_none() {
                let reason = format!("it is not in this file, although {INDEX_FILE} says so");
                return Err(Error::InvalidTensor { path: folder.file_path(&name), tensor, reason });
            }
            shard_of.insert(tensor, shard_idx);
        }
        // What a shard has and the index does not name is there all the same.
        for (shard_idx, shard) in shards.iter().enumerate() {
            for tensor in shard.header.offset_keys() {
                shard_of.entry(tensor).or_insert(shard_idx);
            }
        }
        Ok((shards, shard_of))
    }

    /// How far the tensors are read.
    pub fn reading(&self) -> Reading {
        self.reading.clone()
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shard_of.keys().map(String::as_str)
    }

    /// Dtype, shape and offsets of a tensor.
    ///
    /// # Errors
    /// [`Error::InvalidTensor`] if no file holds it.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo> {
        self.find(name).map(|(_, info)| info)
    }

    /// Checks that a tensor is there, has the shape `expected` and a dtype this engine reads: F64, F32, F16 or BF16.
    ///
    /// # Errors
    /// [`Error::InvalidTensor`] names the file, the tensor and both shapes or dtypes.
    pub fn check(&self, name: &str, expected: &[usize]) -> Result<()> {
        let (shard, info) = self.find(name)?;
        let path = || self.folder.file_path(&shard.name);
        let refuse = |reason| Err(Error::InvalidTensor { path: path(), tensor: name.to_owned(), reason });
        if info.shape != expected {
            return refuse(format!("its shape is {:?}, config.json asks for {expected:?}", info.shape));
        }
        if !matches!(info.dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return refuse(format!("its dtype is {}; supported are F64, F32, F16 and BF16", info.dtype));
        }
        Ok(())
    }

    /// Opens elements of a tensor for reading as f32, `chunk_elems` at a time. Host memory is bounded by the chunk, and
    /// between two chunks the caller may wait for the device.
    ///
    /// # Errors
    /// [`Error::InvalidTensor`] if no file holds it, it has fewer elements or its dtype is not supported;
    /// [`Error::ReadFile`] if the file cannot be opened any more.
    pub fn chunks(&self, name: &str, elems: Range<usize>, chunk_elems: usize) -> Result<TensorChunks> {
        let (shard, info) = self.find(name)?;
        self.check(name, &info.shape)?;
        let path = self.folder.file_path(&shard.name);
        // The product does not overflow: reading the header has compared it with the offsets.
        let num_elems = info.shape.iter().product::<usize>();
        if elems.start > elems.end || elems.end > num_elems {
            let reason = format!("it has {num_elems} elements, and {elems:?} were asked for");
            return Err(Error::InvalidTensor { path, tensor: name.to_owned(), reason });
        }
        let file = self.folder.open_file(&shard.name)?;
        Ok(TensorChunks::new(file, path, shard.data_start, info, elems, chunk_elems, self.reading()))
    }

    fn find(&self, name: &str) -> Result<(&Shard, &TensorInfo)> {
        let shard = self.shard_of.get(name).map(|&shard_idx| &self.shards[shard_idx]);
        shard.and_then(|shard| Some((shard, shard.header.info(name)?))).ok_or_else(|| Error::InvalidTensor {
            path: self.folder.file_path(if self.shards.len() == 1 { &self.shards[0].name } else { INDEX_FILE }),
            tensor: name.to_owned(),
            reason: "it is missing, and config.json asks for it".into(),
        })
    }
}

/// That every shard is there which the index names.
fn check_shards(folder: &ModelFolder, index: &Index) -> Result<()> {
    let names: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    let mut missing = Vec::new();
    for name in &names {
        match folder.open_file(name) {
            Err(Error::ReadFile { source, .. }) if source.kind() == ErrorKind::NotFound => missing.push(*name),
            other => drop(other?),
        }
    }
    let Some(list) = list_text(&missing) else { return Ok(()) };
    let num_named = names.len();
    let reason =
        format!("of the {num_named} files that it names, these are missing: {list}; get them from where it is from");
    Err(Error::InvalidFile { path: folder.file_path(INDEX_FILE), reason })
}

/// Why there are no weights to be read, where the folder has some in another form.
fn other_weights(folder: &ModelFolder) -> Option<Error> {
    let names = folder.names();
    let ending_in = |ends: &[&str]| -> Vec<&str> {
        names.iter().map(String::as_str).filter(|name| ends.iter().any(|end| name.ends_with(end))).collect()
    };
    let invalid = |name: &str, reason| Some(Error::InvalidFile { path: folder.file_path(name), reason });
    let safetensors = ending_in(&[".safetensors"]);
    let shards: Vec<&str> = safetensors.iter().copied().filter(|name| name.contains("-of-")).collect();
    if let Some(list) = list_text(&shards) {
        let reason =
            format!("it is missing, and says which of {list} holds a tensor: get it from where these are from");
        return invalid(INDEX_FILE, reason);
    }
    if let Some(list) = list_text(&safetensors) {
        let reason = format!("it is missing, and weights are read from it alone; is it {list} under another name?");
        return invalid(SINGLE_FILE, reason);
    }
    let list = list_text(&ending_in(&[".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx"]))?;
    let reason = format!(
        "it is missing, and the weights in {list} are of a form that is not read: get the model in safetensors, or let \
         transformers save it so"
    );
    invalid(SINGLE_FILE, reason)
}

impl Shard {
    /// Reads the header and compares the file's length with what the header promises.
    async fn open(folder: &ModelFolder, name: &str) -> Result<Self> {
        let path = folder.file_path(name);
        let mut file = folder.open_file(name)?;
        let (header, data_start) = read_header(&mut file, path.clone()).await?;
        let len = file.len_bytes().await.map_err(|source| Error::ReadFile { path: path.clone(), source })?;
        let promised = data_start.saturating_add(header.data_len() as u64);
        if len != promised {
            let verdict = if len < promised { "it is truncated" } else { "it is too long" };
            let reason = format!("{verdict}: it has {len} bytes and its header describes {promised}");
            return Err(Error::InvalidFile { path, reason });
        }
        Ok(Self { name: name.to_owned(), header, data_start })
    }
}

/// Reads the header and says where the data begins.
async fn read_header(file: &mut FolderFile, path: PathBuf) -> Result<(Metadata, u64)> {
    let invalid = |reason| Error::InvalidFile { path: path.clone(), reason };
    let unreadable = |source| Error::ReadFile { path: path.clone(), source };
    let len = file.len_bytes().await.map_err(unreadable)?;
    let mut start = vec![0; len.min(SHOWN_BYTES) as usize];
    file.read_at(0, &mut start).await.map_err(unreadable)?;
    let or_stand_in = |reason: String| invalid(stand_in(&start).map_or(reason, str::to_owned));
    let Some(prefix) = start.first_chunk() else {
        let reason = format!("it is truncated: it has {len} bytes and the header begins at byte {PREFIX_BYTES}");
        return Err(or_stand_in(reason));
    };
    let header_bytes = u64::from_le_bytes(*prefix);
    if header_bytes > MAX_HEADER_BYTES {
        let reason = format!("its header claims {header_bytes} bytes; at most {MAX_HEADER_BYTES} are read");
        return Err(or_stand_in(reason));
    }
    let data_start = PREFIX_BYTES + header_bytes;
    if len < data_start {
        return Err(invalid(format!("it is truncated: it has {len} bytes and its header ends at byte {data_start}")));
    }
    let mut header = vec![0; header_bytes as usize];
    file.read_at(PREFIX_BYTES, &mut header).await.map_err(unreadable)?;
    let parsed = serde_json::from_slice(&header).map_err(|error| invalid(why_wrong(&header, &error)))?;
    Ok((parsed, data_start))
}

/// What is wrong with a header that cannot be read: `error`, and the tensor that it is about where one is.
fn why_wrong(header: &[u8], error: &serde_json::Error) -> String {
    let tensors: BTreeMap<String, &RawValue> = serde_json::from_slice(header).unwrap_or_default();
    let mut wrong = tensors.into_iter().filter(|(name, _)| name != "__metadata__").filter_map(|(name, info)| {
        let error = serde_json::from_str::<TensorInfo>(info.get()).err()?;
        Some(format!("its header is wrong: tensor {name}: {error}"))
    });
    wrong.next().unwrap_or_else(|| format!("its header is wrong: {error}"))
}
