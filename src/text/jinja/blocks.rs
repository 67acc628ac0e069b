//! The blocks that are open at a tag: what repeats is counted, and what would leave a loop out of the middle of something that
//! is not finished is refused.

/// A block that waits for its end.
struct Block {
    keyword: String,
    /// Of one that repeats: where the number of its bytes belongs, and the number.
    bytes: Option<(usize, usize)>,
}

/// The open blocks, the innermost last.
#[derive(Default)]
pub struct Blocks(Vec<Block>);

/// Room for the number of bytes of a block.
const DIGITS: usize = 9;

impl Blocks {
    /// Text outside of tags: `len` bytes.
    pub fn text(&mut self, len: usize) {
        if let Some((_, bytes)) = self.0.iter_mut().rev().find_map(|block| block.bytes.as_mut()) {
            *bytes += len;
        }
    }

    /// A statement, whose tag is at the end of `out` now. `end` is how the tag ends; with `=` in it, it is no block.
    ///
    /// # Errors
    /// Names the block that a `break` or a `continue` would leave unfinished.
    pub fn statement(&mut self, keyword: &str, has_equals: bool, end: &str, out: &mut String) -> Result<(), String> {
        let bytes = match keyword {
            "for" | "macro" | "call" => {
                // Another tag right behind this one, with the same end, takes away the same spaces.
                out.push_str("{% set __turn = __tick(none,");
                let at = out.len();
                out.push_str(&format!("{:DIGITS$}) {end}", 0));
                Some((at, 0))
            }
            _ => None,
        };
        match keyword {
            "set" if has_equals => (),
            "for" | "macro" | "call" | "if" | "with" | "generation" | "set" | "filter" | "block" => {
                self.0.push(Block { keyword: keyword.to_owned(), bytes });
            }
            // What follows a loop is no longer in it.
            "else" => match self.0.last_mut() {
                Some(block) if block.keyword == "for" => block.keyword = "else of a for".into(),
                _ => (),
            },
            "break" | "continue" => {
                let open = self.0.iter().rev().find(|block| block.keyword != "if" && block.keyword != "else of a for");
                if let Some(open) = open.filter(|open| open.keyword != "for") {
                    let block = &open.keyword;
                    return Err(format!(
                        "{keyword} inside of {{% {block} %}} is not supported: move it behind the {{% end{block} %}}"
                    ));
                }
            }
            _ if keyword.starts_with("end") => {
                if let Some((at, bytes)) = self.0.pop().and_then(|block| block.bytes) {
                    out.replace_range(at..at + DIGITS, &format!("{:DIGITS$}", bytes.min(999_999_999)));
                }
            }
            _ => (),
        }
        Ok(())
    }
}
