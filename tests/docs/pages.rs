//! The pages, and the commands in them.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A page of prose.
pub struct Page {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
    pub commands: Vec<Command>,
}

/// A command of a `console` block.
pub struct Command {
    /// What follows `$ `, with its continued lines.
    pub text: String,
    /// What the page shows below it.
    pub output: String,
    /// Where that is in the page.
    pub output_place: Range<usize>,
    /// The number of its first line.
    pub line: usize,
}

/// README.md and all of docs/.
pub fn pages() -> Vec<Page> {
    let mut paths = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.iter().map(|path| Page::open(path)).collect()
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    fn open(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("the page can be read");
        let commands = consoles(&text).into_iter().flat_map(|block| commands(&text, block)).collect();
        let path = path.strip_prefix(root()).unwrap_or(path).display().to_string();
        Self { path, text, commands }
    }

    pub fn save(&self, text: &str) {
        fs::write(root().join(&self.path), text).expect("the page can be written");
    }
}

/// What is inside the `console` blocks of a page.
fn consoles(markdown: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (event, place) in Parser::new(markdown).into_offset_iter() {
        if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) = event
            && &*language == "console"
        {
            let block = &markdown[place.clone()];
            let first = block.find('\n').map_or(block.len(), |end| end + 1);
            let last = block.rfind("```").unwrap_or(block.len()).max(first);
            found.push(place.start + first..place.start + last);
        }
    }
    found
}

fn commands(markdown: &str, block: Range<usize>) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut is_continued = false;
    let mut at = block.start;
    for line in markdown[block].split_inclusive('\n') {
        let next = at + line.len();
        match (commands.last_mut(), line.strip_prefix("$ ")) {
            (Some(command), _) if is_continued => {
                command.text.push_str(line);
                command.output_place = next..next;
            }
            (_, Some(text)) => commands.push(Command {
                text: text.to_owned(),
                output: String::new(),
                output_place: next..next,
                line: markdown[..at].matches('\n').count() + 1,
            }),
            (Some(command), None) => {
                command.output.push_str(line);
                command.output_place.end = next;
            }
            (None, None) => panic!("a console block begins with `$ `, not with {line:?}"),
        }
        is_continued = (is_continued || line.starts_with("$ ")) && line.ends_with("\\\n");
        at = next;
    }
    commands
}

impl Command {
    /// On one line.
    pub fn words(&self) -> String {
        self.text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
