//! Answers on a disk: one file each, checked by checksums, whole or not there.
