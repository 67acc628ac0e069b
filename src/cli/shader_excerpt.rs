//! Where in the files of a kernel something is wrong. They are compiled as one text, joined by line breaks; whoever edits
//! them knows each by its own name and lines.

use std::fmt::Write;
use std::ops::Range;

/// What is wrong with a text that is made of several files.
#[derive(Default)]
pub struct Fault {
    /// In a sentence.
    pub message: String,
    /// Bytes of the text, and what is to be said of them. The first place is that of the fault.
    pub places: Vec<(Range<usize>, String)>,
    /// What else helps.
    pub notes: Vec<String>,
}

impl Fault {
    /// A fault without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The file that holds the fault, else the first one; and the fault with its line and an excerpt for each place.
    pub fn in_files<'a>(&self, parts: &[(&'a str, &str)]) -> (&'a str, String) {
        let places: Vec<_> =
            self.places.iter().filter_map(|(range, label)| Some((place(parts, range)?, label))).collect();
        let Some((first, _)) = places.first() else {
            let file = parts.first().map_or("", |(name, _)| *name);
            return (file, self.message.clone() + &self.notes_text());
        };
        let mut text = format!("line {}: {}", first.line, self.message);
        for (place, label) in &places {
            let Place { name, line, column, shown, width } = place;
            let margin = " ".repeat(line.to_string().len());
            let (indent, mark) = (" ".repeat(column - 1), "^".repeat(*width));
            let excerpt =
                format!("\n  {name}:{line}:{column}\n  {line} │ {shown}\n  {margin} │ {indent}{mark} {label}");
            text.push_str(excerpt.trim_end());
        }
        (first.name, text + &self.notes_text())
    }

    fn notes_text(&self) -> String {
        self.notes.iter().fold(String::new(), |mut text, note| {
            let _ = write!(text, "\n  note: {note}");
            text
        })
    }
}

/// A place in a file.
struct Place<'a> {
    name: &'a str,
    line: usize,
    column: usize,
    /// The line, with a space for each tab.
    shown: String,
    /// Characters of the line that are meant.
    width: usize,
}

fn place<'a>(parts: &[(&'a str, &str)], range: &Range<usize>) -> Option<Place<'a>> {
    let (mut start, len) = (range.start, range.len());
    for &(name, text) in parts {
        // The line break behind the file is its own, too.
        if start <= text.len() {
            let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let shown = text[line_start..].lines().next().unwrap_or_default();
            let end = (start + len).min(line_start + shown.len()).max(start);
            return Some(Place {
                name,
                line: text[..start].matches('\n').count() + 1,
                column: text[line_start..start].chars().count() + 1,
                shown: shown.replace('\t', " "),
                width: text.get(start..end).map_or(1, |meant| meant.chars().count().max(1)),
            });
        }
        start -= text.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_of_its_file() {
        let parts = [("a", "1\n2\n"), ("b", "5"), ("c", "6\n7\n")];
        let text = parts.map(|(_, text)| text).join("\n");
        for (digit, (name, line)) in
            [('1', ("a", 1)), ('2', ("a", 2)), ('5', ("b", 1)), ('6', ("c", 1)), ('7', ("c", 2))]
        {
            let at = text.find(digit).unwrap();
            let place = place(&parts, &(at..at + 1)).unwrap();
            assert_eq!((place.name, place.line, place.column, place.shown), (name, line, 1, digit.to_string()));
        }
        assert!(place(&parts, &(text.len() + 1..text.len() + 2)).is_none());
    }

    #[test]
    fn each_place_is_shown_with_its_file() {
        let parts = [("a.wgsl", "let x = y;\n"), ("shared/b.wgsl", "\n\tlet längst = z;\n")];
        let text = parts.map(|(_, text)| text).join("\n");
        let at = |word: &str| text.find(word).map(|start| start..start + word.len()).unwrap();
        let mut fault = Fault::new("it is so");
        assert_eq!(fault.in_files(&parts), ("a.wgsl", "it is so".into()));
        fault.places = vec![(at("längst"), "here".into()), (at("y;"), String::new())];
        fault.notes = vec!["so be it".into()];
        let excerpt = "line 2: it is so\n  shared/b.wgsl:2:6\n  2 │  let längst = z;\n    │      ^^^^^^ here\n  \
                       a.wgsl:1:9\n  1 │ let x = y;\n    │         ^^\n  note: so be it";
        assert_eq!(fault.in_files(&parts), ("shared/b.wgsl", excerpt.into()));
    }
}
