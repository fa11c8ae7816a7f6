//! Waiting on conditions, never on time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long the kit waits for anything before it calls it lost. Long, because a busy machine isn't a failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; panics with `what` when it doesn't within [`DEADLINE`].
pub async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_until_async(what, async || condition()).await;
}

/// The same for a condition that has to be asked for, such as a metric.
pub async fn wait_until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "still waiting after {DEADLINE:?}: {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// The result of `future`; panics with `what` when there is none within [`DEADLINE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(result) => result,
        Err(_) => panic!("still waiting after {DEADLINE:?}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        wait_until("the third time", || {
            asked += 1;
            asked == 3
        })
        .await;
        assert_eq!(asked, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "the word that never comes")]
    async fn what_never_comes_is_named() {
        within("the word that never comes", std::future::pending::<()>()).await;
    }
}
