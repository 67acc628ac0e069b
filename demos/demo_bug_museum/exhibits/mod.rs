//! Six bugs that engines in use had, each put back outside the product: into a batch on its way to the model, into a copy
//! of a formula, into a wrong use of a public part.

mod clamped_softmax;
mod decode_blind_to_itself;
mod oldest_preempted;
mod one_block_short;
mod second_chunk_blind;
mod stale_block;
mod workbench;

pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// A bug, and runs that may show it.
pub struct Exhibit {
    /// As on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// Who had it, and what it looks like in the code.
    pub story: &'static str,
    /// What the size of a run counts: one of it, several.
    pub unit: [&'static str; 2],
    /// Sizes of the runs to try, from the smallest on.
    pub sizes: &'static [usize],
    /// Another size that is worth a look.
    pub also: Option<usize>,
    /// Tests of this repository that turn red when the bug is in the product: target and name.
    pub caught_by: &'static [(&'static str, &'static str)],
    /// A run of this size, right and, if wanted, with the bug.
    pub run: fn(usize, Bug) -> Outcome<Shown>,
}

/// Whether the bug is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    Out,
    In,
}

/// What one run shows.
#[derive(Debug)]
pub struct Shown {
    /// What is compared, right, with the bug.
    pub rows: Vec<[String; 3]>,
    /// What a check says of the run, if it has something to say.
    pub complaint: Option<String>,
    /// Whether somebody got another token, another value or another wait than without the bug.
    pub is_harmed: bool,
}

pub const ALL: [Exhibit; 6] = [
    second_chunk_blind::EXHIBIT,
    decode_blind_to_itself::EXHIBIT,
    clamped_softmax::EXHIBIT,
    one_block_short::EXHIBIT,
    oldest_preempted::EXHIBIT,
    stale_block::EXHIBIT,
];

impl Exhibit {
    /// The smallest run of which a check complains, with its size.
    pub fn smallest_failing_run(&self, bug: Bug) -> Outcome<Option<(usize, Shown)>> {
        for &size in self.sizes {
            let shown = (self.run)(size, bug)?;
            if shown.complaint.is_some() {
                return Ok(Some((size, shown)));
            }
        }
        Ok(None)
    }
}

impl Bug {
    /// `wrong` where the bug is in, else `right`.
    pub fn choose<T>(self, right: T, wrong: T) -> T {
        if self == Bug::In { wrong } else { right }
    }
}
