//! Seeded damage to a model folder: what bad downloads, editors, converters and attackers do to its files.

use super::model_copy::fixture;
use super::rng::Rng;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const FIXTURES: [&str; 9] = ["llama", "llama3", "smollm2", "qwen2", "qwen3", "mistral", "phi3", "smollm3", "yarn"];

/// The files of a folder by name.
pub struct Folder(BTreeMap<String, Vec<u8>>);

/// A damaged folder, and what was done to it.
pub fn mutated(seed: usize) -> (Folder, String) {
    let name = FIXTURES[seed % FIXTURES.len()];
    let mut rng = Rng::new(&format!("mutation {seed}"));
    let mut folder = Folder::of(name);
    let mut story = format!("seed {seed}, {name}");
    for _ in 0..1 + rng.below(3) {
        story += &folder.mutate(&mut rng);
    }
    (folder, story)
}

impl Folder {
    fn of(name: &str) -> Self {
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(fixture(name)).expect("the fixture is there") {
            let path = entry.expect("the fixture can be listed").path();
            let file = path.file_name().and_then(|file| file.to_str()).expect("a plain name").to_owned();
            if file != "golden.json" {
                files.insert(file, std::fs::read(path).expect("the fixture can be read"));
            }
        }
        // Older folders have these, too.
        let special =
            json!({"bos_token": "<s>", "pad_token": {"content": "<pad>"}, "extra_special_tokens": ["<|tool|>"]});
        files.insert("special_tokens_map.json".into(), special.to_string().into_bytes());
        files.insert("added_tokens.json".into(), json!({"<|call|>": 600, "<|tool|>": 601}).to_string().into_bytes());
        Self(files)
    }

    pub fn write(&self, dir: &Path) {
        for (file, contents) in &self.0 {
            std::fs::write(dir.join(file), contents).expect("a new folder can be written");
        }
    }

    /// Damages one file. JSON and the headers of weights mostly stay what they are, and say something else.
    fn mutate(&mut self, rng: &mut Rng) -> String {
        let files: Vec<String> = self.0.keys().cloned().collect();
        if files.is_empty() {
            return String::new();
        }
        // config.json decides most.
        let file = match rng.below(4) {
            0 => "config.json".to_owned(),
            _ => files[rng.below(files.len())].clone(),
        };
        let other = self.0[&files[rng.below(files.len())]].clone();
        let Some(contents) = self.0.get_mut(&file) else { return String::new() };
        let what = match rng.below(12) {
            0 => {
                self.0.remove(&file);
                "removed".to_owned()
            }
            1 => {
                *contents = other;
                "replaced by another".to_owned()
            }
            2..=4 => bytes(contents, rng),
            _ if file.ends_with(".json") => json_file(contents, rng),
            _ if file.ends_with(".safetensors") => safetensors(contents, rng),
            _ => text(contents, rng),
        };
        format!("; {file}: {what}")
    }
}

/// Anything may come to hold anything.
fn bytes(contents: &mut Vec<u8>, rng: &mut Rng) -> String {
    let at = rng.below(contents.len() + 1);
    let len = [1, 1, 2, 8, 100, 5000][rng.below(6)].min(contents.len() - at);
    let random: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
    match rng.below(7) {
        0 => contents.truncate(at),
        1 => drop(contents.drain(at..at + len)),
        2 => contents[at..at + len].copy_from_slice(&random),
        3 => contents[at..at + len].fill(0),
        4 => drop(contents.splice(at..at, random)),
        5 => drop(contents.splice(at..at, contents[at..at + len].to_vec())),
        _ => drop(contents.splice(0..0, *b"\xef\xbb\xbf")),
    }
    format!("{len} bytes at {at}")
}

fn json_file(contents: &mut Vec<u8>, rng: &mut Rng) -> String {
    let Ok(mut json) = serde_json::from_slice(contents) else { return bytes(contents, rng) };
    let what = node(&mut json, rng);
    *contents = serde_json::to_vec(&json).expect("JSON can be written");
    what
}

/// Damages a random node of a tree, reached from its root in random turns.
fn node(json: &mut Value, rng: &mut Rng) -> String {
    match json {
        Value::Object(map) if !map.is_empty() => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = keys[rng.below(keys.len())].clone();
            let what = match rng.below(8) {
                0 => {
                    map.remove(&key);
                    "removed".to_owned()
                }
                1 => {
                    let value = map.remove(&key).unwrap_or_default();
                    map.insert(format!("{key}x"), value);
                    "renamed".to_owned()
                }
                2 => {
                    let other = map[&keys[rng.below(keys.len())]].clone();
                    map.insert(key.clone(), other);
                    "given a neighbour's value".to_owned()
                }
                _ => node(map.get_mut(&key).expect("it is one of the keys"), rng),
            };
            format!("{key} {what}")
        }
        Value::Array(values) if !values.is_empty() && rng.below(6) > 0 => {
            let at = rng.below(values.len());
            let what = match rng.below(6) {
                0 => {
                    values.remove(at);
                    "removed".to_owned()
                }
                1 => {
                    values.insert(at, values[at].clone());
                    "doubled".to_owned()
                }
                _ => node(&mut values[at], rng),
            };
            format!("[{at}] {what}")
        }
        leaf => {
            *leaf = hostile(leaf, rng);
            let shown = leaf.to_string();
            format!("becomes {}", shown.chars().take(40).collect::<String>())
        }
    }
}

/// Values that programs trip over, and some near to what was there.
fn hostile(value: &Value, rng: &mut Rng) -> Value {
    const NUMBERS: [u64; 12] =
        [0, 1, 2, 3, 7, 255, 65_536, 16_777_216, 1 << 31, u32::MAX as u64 + 1, 1 << 62, u64::MAX];
    let near = value.as_u64().unwrap_or(8);
    match rng.below(14) {
        0 => Value::Null,
        1 => json!(rng.below(2) == 1),
        2 => json!(-(rng.below(4) as i64)),
        3..=4 => json!(NUMBERS[rng.below(NUMBERS.len())]),
        5 => json!(near.saturating_add(1 + rng.below(8) as u64)),
        6 => json!(near / 2),
        7 => json!(near.saturating_mul([2, 10, 1000][rng.below(3)])),
        8 => json!([1e308, -1e308, 5e-324, -0.0, 0.5, 1e18][rng.below(6)]),
        9 => json!(["", "x", "\u{0}", "😀", "{{", "../x", "/etc/hostname", "NaN"][rng.below(8)]),
        10 => json!("long ".repeat(20_000)),
        11 => json!([value, value]),
        12 => (0..100).fold(value.clone(), |inner, _| json!([inner])),
        _ => Value::Object(Map::from_iter([("a".to_owned(), value.clone())])),
    }
}

/// The header as JSON, with its length told rightly or not; or numbers that are none.
fn safetensors(contents: &mut Vec<u8>, rng: &mut Rng) -> String {
    let prefix = contents.first_chunk().map_or(0, |prefix| u64::from_le_bytes(*prefix));
    let data_start = usize::try_from(prefix).ok().and_then(|len| len.checked_add(8)).filter(|&at| at <= contents.len());
    let Some(data_start) = data_start.filter(|_| contents.len() > 8) else { return bytes(contents, rng) };
    match rng.below(4) {
        0 => {
            let value = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38, -0.0][rng.below(5)];
            for _ in 0..1 + rng.below(20) {
                let at = data_start + rng.below(contents.len() - data_start + 1) / 4 * 4;
                if let Some(bytes) = contents.get_mut(at..at + 4) {
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
            }
            format!("some {value}")
        }
        1 => {
            let len = [0, 1, prefix - 1, prefix + 1, 1 << 20, 1 << 40, 1 << 63, u64::MAX][rng.below(8)];
            contents[..8].copy_from_slice(&len.to_le_bytes());
            format!("a header of {len} bytes")
        }
        _ => {
            let mut header = contents[8..data_start].to_vec();
            let what = json_file(&mut header, rng);
            let len = (header.len() as u64).to_le_bytes();
            contents.splice(..data_start, len.into_iter().chain(header));
            what
        }
    }
}

/// A template: pieces of the language where they do not belong.
fn text(contents: &mut Vec<u8>, rng: &mut Rng) -> String {
    const PIECES: [&str; 24] = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{% endfor %}",
        "{% if x %}",
        "{{ messages }}",
        "{{ x.y.z }}",
        "{{ 1 // 0 }}",
        "{{ [1][5] }}",
        "{% for m in messages %}",
        "{{ raise_exception('no') }}",
        "{{ messages | tojson(indent=4) }}",
        "{{ ''.join(3) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ range(10 ** 9) | list }}",
        "{{ none }}",
        "{#",
        "\r\n",
        "\u{0}",
        // What grows without end.
        "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}",
        "{{ 'a' * 10 ** 10 }}",
        "{{ [1] * 10 ** 9 }}",
        "{{ '%1000000000d' % 1 }}",
    ];
    let piece = PIECES[rng.below(PIECES.len())];
    let at = rng.below(contents.len() + 1);
    contents.splice(at..at, piece.bytes());
    format!("{piece:?} at {at}")
}
