//! A real master, replica and sentinel.

use tidegate_core::StoreError;
use tidegate_core::redis::cmd;
use tidegate_testkit::{redis_sentinel, wait_until_async};

use crate::{LONG, pong};

#[tokio::test]
async fn the_new_master_is_used_after_a_failover() {
    let sentinel = redis_sentinel().await;
    let store = sentinel.store(LONG);
    let _: () = store.command(cmd("SET").arg("a").arg(1)).await.expect("an answer");
    sentinel.failover().await;
    wait_until_async("the store can be written to", async || store.command::<u64>(cmd("INCR").arg("a")).await.is_ok())
        .await;
    assert!(store.is_up());
}

#[tokio::test]
async fn the_new_master_is_used_after_the_old_one_was_killed() {
    let mut sentinel = redis_sentinel().await;
    let store = sentinel.store(LONG);
    assert!(pong(&store).await.is_ok());
    sentinel.server(0).kill().await;
    assert!(pong(&store).await.is_err());
    assert!(matches!(pong(&store).await, Err(StoreError::Down { .. })));
    wait_until_async("the replica is the master", async || store.command::<u64>(cmd("INCR").arg("a")).await.is_ok())
        .await;
    assert_eq!(sentinel.master().await, 1);
}
