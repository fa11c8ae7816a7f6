//! How much configuration is too much. Each limit is far above what anyone writes, and below what does harm.

/// The longest configuration file, in bytes.
pub(crate) const FILE_BYTES: u64 = 64 << 20;
/// The longest file named by a `${file:…}`, in bytes.
pub(crate) const SECRET_FILE_BYTES: u64 = 1 << 20;
/// Values in one file, with every alias written out: an alias bomb is small on disk only.
pub(crate) const NODES: usize = 5_000_000;
/// Lists and maps inside one another.
pub(crate) const DEPTH: usize = 64;
/// Text that interpolation adds to all files together, in bytes.
pub(crate) const INTERPOLATED_BYTES: usize = 64 << 20;
/// Files read by way of `include`.
pub(crate) const INCLUDED_FILES: usize = 1_000;
/// Faults reported of the text of one file.
pub(crate) const FAULTS: usize = 50;
