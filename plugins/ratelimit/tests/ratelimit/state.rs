//! What is counted survives a reload and, if asked, a restart.

use super::*;

#[tokio::test]
async fn a_reload_keeps_what_was_counted_and_a_new_limit_begins_anew() {
    let (gateway, _clock) = start("{ name: one, rate: 3/h, per: client }").await;
    assert_eq!(admitted(&gateway, 2, "192.0.2.1").await, 2);
    gateway.reload(&limited("{ name: one, rate: 3/h, per: client }", "fields: none")).await.expect("reloaded");
    assert_eq!(admitted(&gateway, 5, "192.0.2.1").await, 1);
    gateway.reload(&limited("{ name: one, rate: 4/h, per: client }", "")).await.expect("reloaded");
    assert_eq!(admitted(&gateway, 9, "192.0.2.1").await, 4, "another rate");
    gateway
        .reload(&limited("{ name: one, rate: 4/h, per: client }", "memory: { size: 1MiB }"))
        .await
        .expect("reloaded");
    assert_eq!(admitted(&gateway, 9, "192.0.2.1").await, 0, "what was counted moves to a table of another size");
}

#[tokio::test]
async fn a_reload_that_is_refused_forgets_nobody() {
    let (gateway, _clock) = start_with("{ name: one, rate: 2/h, per: client }", "memory: { size: 4MiB }").await;
    let clients: Vec<String> = (0..1500).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
    for client in &clients {
        assert_eq!(admitted(&gateway, 2, client).await, 2);
    }
    let wrong =
        limited("{ name: one, rate: 2/h, per: client }", "memory: { size: 64KiB }").replace("body: other", "bdy: x");
    gateway.reload(&wrong).await.expect_err("refused");
    for client in &clients {
        assert_eq!(admitted(&gateway, 1, client).await, 0, "{client}");
    }
}

#[tokio::test]
async fn what_was_counted_outlives_the_process_if_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let section = format!("memory: {{ file: {:?} }}", dir.path().join("limits"));
    let clock = manual_clock();
    let limits =
        "{ rate: 3/h, per: client, algorithm: fixed_window }, { rate: 100/m, algorithm: sliding_window, per: client }";
    let yaml = limited(limits, &section);
    let gateway = builder().clock(&clock).start(&yaml).await;
    assert_eq!(admitted(&gateway, 2, "192.0.2.1").await, 2);
    assert!(gateway.shutdown().await);
    drop(gateway);
    let gateway = builder().clock(&clock).start(&yaml).await;
    assert_eq!(admitted(&gateway, 5, "192.0.2.1").await, 1);
    assert!(gateway.shutdown().await);
    drop(gateway);
    clock.advance(60 * MINUTE);
    let gateway = builder().clock(&clock).start(&yaml).await;
    assert_eq!(admitted(&gateway, 5, "192.0.2.1").await, 3, "time passes while nobody counts");
}

#[tokio::test]
async fn a_damaged_file_is_no_reason_not_to_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("limits");
    for damage in [&b""[..], b"nonsense", &[0xff; 4096]] {
        std::fs::write(&file, damage).expect("written");
        let (gateway, _clock) =
            start_with("{ rate: 3/h, per: client }", &format!("memory: {{ file: {file:?} }}")).await;
        assert_eq!(admitted(&gateway, 5, "192.0.2.1").await, 3);
    }
}
