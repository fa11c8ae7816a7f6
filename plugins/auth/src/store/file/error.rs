//! What the database says when something is wrong, as this program says it.

use redb::{CommitError, DatabaseError, StorageError, TableError, TransactionError};

use crate::store::StoreError;

/// Why a file can't be opened that is open already.
pub(super) const LOCKED: &str = "another process, or another gateway in this one, has it open";

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(_) | StorageError::ValueTooLarge(_) => StoreError::Corrupt(error.to_string()),
            // Also: the disk is full; it failed before; a panic left a lock behind.
            error => StoreError::Unavailable(format!("the store's file: {error}")),
        }
    }
}

impl From<TableError> for StoreError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            error => StoreError::Corrupt(error.to_string()),
        }
    }
}

impl From<TransactionError> for StoreError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            error => StoreError::Unavailable(error.to_string()),
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            error => StoreError::Unavailable(error.to_string()),
        }
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::Unavailable(LOCKED.to_owned()),
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                StoreError::Corrupt("it is no store of this program".to_owned())
            }
            DatabaseError::Storage(error) => error.into(),
            error => StoreError::Corrupt(error.to_string()),
        }
    }
}
