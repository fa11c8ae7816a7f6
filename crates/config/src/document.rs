//! A configuration that has been read, and that knows where each value stands.

use std::path::{Path, PathBuf};

use tidegate_core::config::{ConfigErrors, ConfigPath, RawConfig, Redactions};

use crate::env::Env;
use crate::include::{Loader, origin};
use crate::locate::locate;
use crate::report::{Hidden, LoadErrors, Location, Placed, Report};
use crate::source::{Fault, Source};

/// Interpolated texts from this length on are kept out of all messages, and not just those about themselves.
const TELLING: usize = 8;

/// A configuration file with all that it includes, merged and interpolated, but not yet read as any type.
#[derive(Clone, Debug)]
pub struct Document {
    root: RawConfig,
    sources: Vec<Source>,
    files: Vec<PathBuf>,
}

impl Document {
    /// Reads the file at `path`, and what it includes.
    ///
    /// Fails with everything that is wrong with the texts: syntax, duplicate keys, variables that are not set, files
    /// that cannot be included. What the values mean is checked by who reads them, with [`RawConfig::read`].
    pub fn load(path: &Path, env: &dyn Env) -> Result<Self, LoadErrors> {
        let mut loader = Loader::new(env);
        loader.start(path);
        Self::from_loader(loader)
    }

    /// Reads a text. Files that it names are relative to the working directory.
    pub fn parse(text: &str, env: &dyn Env) -> Result<Self, LoadErrors> {
        Self::parse_as(Path::new("config.yaml"), text, env)
    }

    /// Reads a text as if it were that of the file `name`, which need not exist.
    pub fn parse_as(name: &Path, text: &str, env: &dyn Env) -> Result<Self, LoadErrors> {
        let mut loader = Loader::new(env);
        loader.text(name, text);
        Self::from_loader(loader)
    }

    fn from_loader(mut loader: Loader<'_>) -> Result<Self, LoadErrors> {
        let root = loader.merge();
        let Loader { sources, faults, files, .. } = loader;
        if !faults.is_empty() {
            let faults = faults.into_iter().map(|(source, fault)| {
                let path = fault.error.path.segments().to_vec();
                Placed { source, path, fault }
            });
            return Err(Report::new(&sources, faults.collect(), &Hidden::default(), files));
        }
        Ok(Self { root: RawConfig::new(root, ConfigPath::root()), sources, files })
    }

    /// The whole configuration.
    pub fn root(&self) -> &RawConfig {
        &self.root
    }

    /// The value of a top-level key.
    pub fn section(&self, name: &str) -> Option<RawConfig> {
        self.root.get(name)
    }

    /// The top-level keys and their values, in the order of the file.
    pub fn sections(&self) -> impl Iterator<Item = (&str, RawConfig)> {
        self.root.entries()
    }

    /// Every file that was read, `${file:…}` included: the ones to [`watch`](crate::watch()).
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Where the value at `path` stands, or the nearest thing around it.
    pub fn locate(&self, path: &ConfigPath) -> Option<Location> {
        let (source, there) = origin(&self.sources, path.segments())?;
        let source = self.sources.get(source)?;
        let spot = locate(&source.text, &[(&there, false)]).pop().flatten()?;
        Some(Location { file: source.name.clone(), line: spot.line, column: spot.column })
    }

    /// The errors with their places, the first in the file first.
    pub fn render(&self, errors: &ConfigErrors) -> Report {
        let faults = errors.iter().map(|error| {
            let (source, there) = origin(&self.sources, error.path.segments()).unwrap_or_default();
            Placed { source, path: there, fault: Fault::by_path(error.clone()) }
        });
        let secrets = self.root.secrets();
        let mut redactions = Redactions::of_interpolated(self.root.value(), TELLING);
        secrets.iter().for_each(|path| redactions.hide(self.root.value(), path));
        let secrets: Vec<_> = secrets.iter().filter_map(|path| origin(&self.sources, path.segments())).collect();
        let hidden = Hidden { redactions, secrets };
        Report::new(&self.sources, faults.collect(), &hidden, self.files.clone())
    }
}
