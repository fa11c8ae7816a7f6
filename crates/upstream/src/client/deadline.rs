//! The end of a request's time.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::ClientError;

/// Until when something may take, and how long that was at its beginning.
pub(crate) struct Deadline {
    /// `None`: so far away that there is none.
    at: Option<Instant>,
    within: Duration,
}

impl Deadline {
    pub(crate) fn after(within: Duration) -> Self {
        Self { at: Instant::now().checked_add(within), within }
    }

    /// Does `work` as long as there is time; `None`: there is none left.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.at {
            Some(at) => timeout_at(at, work).await.ok(),
            None => timeout(self.within, work).await.ok(),
        }
    }

    /// The error of something that took too long: "no answer within 5s".
    pub(crate) fn passed(&self, what: &str) -> ClientError {
        ClientError::Timeout(self.text(what).into())
    }

    /// The error of a connection that took too long.
    pub(crate) fn unconnected(&self) -> ClientError {
        ClientError::Connect(self.text("no connection").into())
    }

    fn text(&self, what: &str) -> String {
        format!("{what} within {:?}", self.within)
    }
}
