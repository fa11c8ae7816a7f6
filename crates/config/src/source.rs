//! One file of the configuration, and what is wrong with it.

use std::path::PathBuf;
use std::sync::Arc;

use tidegate_core::config::{ConfigError, Value};

use crate::walk::Spot;

/// A file as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As it was named: on the command line, or by the file that includes it.
    pub(crate) name: PathBuf,
    pub(crate) text: Arc<str>,
    /// Without its `include`.
    pub(crate) tree: Value,
}

/// Where in a file a fault is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The file as a whole.
    Nowhere,
    /// Here.
    At(Spot),
    /// At the path of the error.
    ByPath,
}

/// Something wrong in a file.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) error: ConfigError,
}

impl Fault {
    pub(crate) fn of(spot: Spot, error: ConfigError) -> Self {
        Self { place: Place::At(spot), error }
    }

    pub(crate) fn by_path(error: ConfigError) -> Self {
        Self { place: Place::ByPath, error }
    }
}
