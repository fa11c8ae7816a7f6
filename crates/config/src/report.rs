//! Errors as people read them: the place, the path, what is wrong, the line itself, what to do.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use tidegate_core::config::{ConfigError, ConfigPath, Redactions, Segment};

use crate::locate::{locate, secrets};
use crate::source::{Fault, Place, Source};
use crate::walk::{Spot, path_of};

mod excerpt;

use excerpt::Excerpt;

/// A place in a file; line and column count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, by the name it was given.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One error with its place. Free of secrets.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The file in which it is.
    pub file: PathBuf,
    /// The place, if it has one: a file that cannot be opened has none.
    pub location: Option<Location>,
    /// The path of the value.
    pub path: ConfigPath,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    excerpt: Option<Excerpt>,
}

/// Errors with their places, the first in the file first. `Display` writes them all, and how many they are.
///
/// ```text
/// gateway.yaml:12:7: routing.routes[0].match.pth: unknown key `pth`
///  12 |       pth: /users
///     |       ^^^
///     help: did you mean `path`? valid keys: host, path
///
/// 1 error
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    findings: Vec<Finding>,
    total: usize,
    files: Vec<PathBuf>,
}

/// What is wrong with the text of a configuration.
pub type LoadErrors = Report;

/// More errors than this are counted, but not shown.
const SHOWN: usize = 100;
/// A fault, the source it is in, and its path there.
pub(crate) struct Placed {
    pub(crate) source: usize,
    pub(crate) path: Vec<Segment>,
    pub(crate) fault: Fault,
}

/// What must not be shown.
#[derive(Default)]
pub(crate) struct Hidden {
    pub(crate) redactions: Redactions,
    /// The places of secrets: in which source, at which path there.
    pub(crate) secrets: Vec<(usize, Vec<Segment>)>,
}

impl Report {
    pub(crate) fn new(sources: &[Source], mut faults: Vec<Placed>, hidden: &Hidden, files: Vec<PathBuf>) -> Self {
        let total = faults.len();
        faults.truncate(SHOWN);
        let mut by_source: BTreeMap<usize, Vec<Placed>> = BTreeMap::new();
        for placed in faults {
            by_source.entry(placed.source).or_default().push(placed);
        }
        let findings = by_source.into_iter().filter_map(|(at, faults)| {
            let secrets = hidden.secrets.iter().filter(|(source, _)| *source == at).map(|(_, path)| path.as_slice());
            Some(
                Reporter { source: sources.get(at)?, secrets: sorted(secrets), redactions: &hidden.redactions }
                    .findings(&faults),
            )
        });
        Self { findings: findings.flatten().collect(), total, files }
    }

    /// The errors, at most 100 of them.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many errors there are, shown or not.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Every file that was read or tried: a change of one of them may mend things.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Makes findings of the faults of one source.
struct Reporter<'r> {
    source: &'r Source,
    /// The paths of what was read as a secret, sorted.
    secrets: Vec<&'r [Segment]>,
    redactions: &'r Redactions,
}

impl Reporter<'_> {
    fn findings(&self, faults: &[Placed]) -> Vec<Finding> {
        let lines: Vec<&str> = self.source.text.lines().collect();
        let spots = self.spots(faults).into_iter().map(|spot| Some(spot?.within(&lines)));
        let mut spots: Vec<_> = spots.zip(faults.iter().map(|placed| &placed.fault.error)).collect();
        spots.sort_by_key(|(spot, _)| *spot);
        let shown: Vec<usize> = spots.iter().filter_map(|(spot, _)| Some(spot.as_ref()?.line)).collect();
        let masked = secrets(&self.source.text, &shown, |path, value| self.is_secret(path, value));
        let excerpt = |spot: Spot| Some(Excerpt::of(lines.get(spot.line - 1)?, &spot, &masked));
        spots.into_iter().map(|(spot, error)| self.finding(spot, error, spot.and_then(excerpt))).collect()
    }

    fn spots(&self, faults: &[Placed]) -> Vec<Option<Spot>> {
        let by_path = match faults.iter().any(|placed| matches!(placed.fault.place, Place::ByPath)) {
            true => {
                let paths = faults.iter().map(|placed| (placed.path.as_slice(), placed.fault.error.is_about_key()));
                locate(&self.source.text, &paths.collect::<Vec<_>>())
            }
            false => vec![None; faults.len()],
        };
        let spot = |(placed, found): (&Placed, Option<Spot>)| match placed.fault.place {
            Place::Nowhere => None,
            Place::At(spot) => Some(spot),
            Place::ByPath => found,
        };
        faults.iter().zip(by_path).map(spot).collect()
    }

    /// A value is nobody's business if it was read as a secret, or its key says so, or any key above it. A small number
    /// is one of a setting: `password: { cost: 9 }` has to be seen to be mended.
    fn is_secret(&self, path: &[Segment], value: &str) -> bool {
        let read_as_secret = || (0..=path.len()).any(|end| self.secrets.binary_search(&&path[..end]).is_ok());
        let looks_secret = || (1..=path.len()).any(|end| path_of(&path[..end]).looks_secret());
        (looks_secret() && !is_small_number(value)) || read_as_secret()
    }

    fn finding(&self, spot: Option<Spot>, error: &ConfigError, excerpt: Option<Excerpt>) -> Finding {
        let file = &self.source.name;
        Finding {
            file: file.clone(),
            location: spot.map(|s| Location { file: file.clone(), line: s.line, column: s.column }),
            excerpt,
            message: self.redactions.apply(&error.message),
            help: error.help.as_deref().map(|help| self.redactions.apply(help)),
            path: error.path.clone(),
        }
    }
}

/// Fewer digits than would keep a secret.
fn is_small_number(value: &str) -> bool {
    value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn sorted<'p>(paths: impl Iterator<Item = &'p [Segment]>) -> Vec<&'p [Segment]> {
    let mut paths: Vec<_> = paths.collect();
    paths.sort_unstable();
    paths
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}\n")?;
        }
        if self.total > self.findings.len() {
            write!(f, "the first {} of ", self.findings.len())?;
        }
        match self.total {
            1 => f.write_str("1 error"),
            n => write!(f, "{n} errors"),
        }
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{location}: ")?,
            None => write!(f, "{}: ", self.file.display())?,
        }
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&tame(&self.message))?;
        let width = self.location.as_ref().map_or(0, |location| location.line.to_string().len());
        if let (Some(excerpt), Some(location)) = (&self.excerpt, &self.location) {
            write!(f, "\n {} | {}", location.line, excerpt.line)?;
            write!(f, "\n {:width$} | {:before$}{}", "", "", "^".repeat(excerpt.width), before = excerpt.before)?;
        }
        match &self.help {
            Some(help) => write!(f, "\n {:width$} help: {}", "", tame(help)),
            None => Ok(()),
        }
    }
}

/// A message of several lines stays below its place, and cannot move the cursor of a terminal.
fn tame(message: &str) -> String {
    let mut tamed = String::with_capacity(message.len());
    for c in message.chars() {
        match c {
            '\n' => tamed.push_str("\n      "),
            c if c.is_control() => tamed.extend(c.escape_debug()),
            c => tamed.push(c),
        }
    }
    tamed
}
