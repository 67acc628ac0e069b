//! A committed model folder, to be changed and written somewhere else.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// A tensor as a file has it.
#[derive(Clone)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// A model folder in memory.
pub struct Checkpoint {
    pub config: Value,
    pub tensors: BTreeMap<String, Tensor>,
    others: BTreeMap<String, Vec<u8>>,
}

#[allow(dead_code, reason = "each test program that includes this file uses some of it")]
impl Checkpoint {
    pub fn of(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let (mut tensors, mut others) = (BTreeMap::new(), BTreeMap::new());
        for entry in std::fs::read_dir(folder).expect("the fixture is there") {
            let path = entry.expect("the fixture can be listed").path();
            let contents = std::fs::read(&path).expect("the fixture can be read");
            let file = path.file_name().and_then(|file| file.to_str()).expect("a plain name").to_owned();
            if !file.ends_with(".safetensors") {
                others.insert(file, contents);
                continue;
            }
            for (name, view) in SafeTensors::deserialize(&contents).expect("the fixture is sound").tensors() {
                let (dtype, shape, bytes) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
                tensors.insert(name, Tensor { dtype, shape, bytes });
            }
        }
        // All go into one file.
        others.remove("model.safetensors.index.json");
        let config = others.remove("config.json").expect("the fixture has a config.json");
        Self { config: serde_json::from_slice(&config).expect("config.json is JSON"), tensors, others }
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.tensors.get_mut(name).expect("the fixture has this tensor")
    }

    /// The folder, gone with the value.
    pub fn write(&self) -> TempDir {
        let dir = tempfile::tempdir().expect("there is room for a folder");
        let write = |file: &str, contents: &[u8]| std::fs::write(dir.path().join(file), contents).expect("it is new");
        self.others.iter().for_each(|(file, contents)| write(file, contents));
        write("config.json", &serde_json::to_vec(&self.config).expect("JSON can be written"));
        write("model.safetensors", &serialized(&self.tensors));
        dir
    }
}

/// A safetensors file of these tensors.
pub fn serialized(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, Tensor { dtype, shape, bytes })| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes agree"))
    });
    safetensors::serialize(views, None).expect("tensors can be written")
}

#[allow(dead_code, reason = "each test program that includes this file uses some of it")]
impl Tensor {
    /// Its elements, if it is of f32.
    pub fn set_f32(&mut self, elem: usize, value: f32) {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes[4 * elem..4 * elem + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// The same elements in another type.
    pub fn widened_to_f64(&self) -> Self {
        let values: Vec<f64> = match self.dtype {
            Dtype::F32 => {
                self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()).collect()
            }
            Dtype::F16 => self.bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).into()).collect(),
            Dtype::BF16 => self.bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).into()).collect(),
            other => panic!("{other} is no type of a fixture"),
        };
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F64, shape: self.shape.clone(), bytes }
    }
}
