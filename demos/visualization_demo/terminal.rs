//! What a terminal showed, as a picture for pages.

use crate::svg::escape;

/// As wide as the terminal of `tests/docs/`.
const COLUMNS: usize = 100;
/// Of a letter at this size in the usual monospaced fonts.
const LETTER_WIDTH: f64 = 7.3;
const LINE_HEIGHT: usize = 18;
/// Above the text: the frame, with its three buttons.
const TOP: usize = 40;
const MARGIN: usize = 18;

const STYLE: &str = "text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; \
                     fill: #1f2328 }\n\
                     .card { fill: #fff; stroke: #d1d9e0 }\n.command { fill: #0550ae; font-weight: 600 }\n\
                     .button { fill: #d1d9e0 }\n\
                     @media (prefers-color-scheme: dark) {\n\
                     text { fill: #e6edf3 }\n.card { fill: #0d1117; stroke: #3d444d }\n\
                     .command { fill: #79c0ff }\n.button { fill: #3d444d }\n}\n";

/// `text` in a frame. A line that begins with `$ ` is a command.
pub fn draw(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().flat_map(wrapped).collect();
    let width = (COLUMNS as f64 * LETTER_WIDTH) as usize + 2 * MARGIN;
    let height = TOP + lines.len() * LINE_HEIGHT + MARGIN;
    let mut body = String::new();
    for nth in 0..3 {
        body += &format!("<circle class=\"button\" cx=\"{}\" cy=\"18\" r=\"5\"/>\n", MARGIN + 5 + 16 * nth);
    }
    for (nth, line) in lines.iter().enumerate() {
        let class = if line.starts_with("$ ") { " class=\"command\"" } else { "" };
        let y = TOP + nth * LINE_HEIGHT + 12;
        body += &format!("<text{class} x=\"{MARGIN}\" y=\"{y}\">{}</text>\n", escape(line));
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title">
<title id="title">A terminal: {}</title>
<style>
{STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="{}" height="{}" rx="8"/>
{body}</svg>
"#,
        escape(lines.first().map_or("", String::as_str)),
        width - 1,
        height - 1
    )
}

/// A line as a terminal breaks it, but between words.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let last = lines.last_mut().expect("there is one from the start");
        if !last.is_empty() && last.chars().count() + word.trim_end().chars().count() > COLUMNS {
            lines.push(word.to_owned());
        } else {
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, draw, wrapped};

    #[test]
    fn lines_break_between_words_and_nothing_is_lost() {
        let line = "a word after another ".repeat(12);
        let lines = wrapped(&line);
        assert!(lines.iter().all(|line| line.trim_end().chars().count() <= COLUMNS), "{lines:?}");
        assert_eq!(lines.concat(), line);
        assert!(lines.len() > 1);
        assert_eq!(wrapped(""), [""]);
    }

    #[test]
    fn commands_stand_out_and_markup_is_text() {
        let picture = draw("$ cb-lab devices\na < b & c\n");
        assert!(picture.contains(r#"class="command" x="18" y="52">$ cb-lab devices</text>"#), "{picture}");
        assert!(picture.contains(">a &lt; b &amp; c</text>"), "{picture}");
    }
}
