//! Where a configuration comes from, and what is said when it is no good.

use std::fmt;
use std::path::{Path, PathBuf};

use tidegate_config::{Document, ProcessEnv, Report};
use tidegate_core::ConfigErrors;

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// A YAML file. It is watched: a change is a reload.
    File(PathBuf),
    /// YAML text.
    Text(String),
}

impl ConfigSource {
    /// A YAML file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// YAML text.
    pub fn yaml(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Text(_) => None,
        }
    }

    pub(crate) fn load(&self) -> Result<Document, BadConfig> {
        let loaded = match self {
            Self::File(path) => Document::load(path, &ProcessEnv),
            Self::Text(text) => Document::parse(text, &ProcessEnv),
        };
        loaded.map_err(|report| BadConfig::from_report(&report))
    }
}

/// A configuration that can't be used: every error, each with its place and a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    text: String,
    files: Vec<PathBuf>,
}

impl BadConfig {
    pub(crate) fn new(document: &Document, errors: &ConfigErrors) -> Self {
        Self { text: document.render(errors).to_string(), files: document.files().to_vec() }
    }

    pub(crate) fn from_report(report: &Report) -> Self {
        Self { text: report.to_string(), files: report.files().to_vec() }
    }

    /// The files that were read, or were to be.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for BadConfig {}
