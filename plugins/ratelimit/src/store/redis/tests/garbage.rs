//! Whatever is in a key, and whatever a server says.

use super::*;

/// Other people's values: text, numbers out of range, a half log, a list.
#[tokio::test]
async fn garbage_in_a_key_counts_as_nothing_and_is_written_over() {
    let server = server().await;
    let store = server.gateway();
    let huge = "9".repeat(400);
    let log = format!("tgs1{}", "\u{7f}".repeat(20));
    let half = format!("tgs1{}", "\0".repeat(13));
    let (long, zeros) = ("x".repeat(5004), format!("tgs1{}", "\0".repeat(5000)));
    let garbage = [
        "",
        "x",
        "1 2 3",
        "-1 -1",
        "1e300 5",
        "nan nan",
        &huge,
        "5 99999999999999999999",
        &log,
        &half,
        "a.b 1 2;",
        &long,
        &zeros,
    ];
    for (place, rule) in rules().iter().enumerate() {
        let key = key(place as u64, "garbage");
        let name = store.names.key(rule, &key);
        for text in garbage {
            let () = server.ask(&["SET", &name, text]).await;
            let taken = store.take(&[ask(rule, &key, 1)], now()).await.expect("an answer");
            assert!(taken.allowed, "{text:?} of {rule:?}");
            let left: i64 = server.ask(&["PTTL", &name]).await;
            // A ban is not written by a request.
            assert!(left != -1 || matches!(rule.shape, Shape::Ban), "{text:?} of {rule:?}");
        }
        let () = server.ask(&["DEL", &name]).await;
        let _: i64 = server.ask(&["RPUSH", &name, "a", "list"]).await;
        let taken = store.take(&[ask(rule, &key, 1)], now()).await.expect("an answer");
        assert!(taken.allowed, "a list of {rule:?}");
        // One that says something for a moment only may have gone already.
        let lasts = lasts(rule, &taken.verdicts[0], Duration::from_secs(60));
        assert!(store.reset(rule, &key).await.expect("an answer") || !lasts, "{rule:?}");
    }
}

#[tokio::test]
async fn a_server_that_answers_something_else_is_an_error() {
    let server = server().await;
    let store = server.gateway();
    let error = store.nonsense("nothing".into());
    assert_eq!(error.kind(), "refused");
    // A script of another version under the same name can't be: scripts are called by their hash. What is left is a
    // server that refuses.
    let () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let (rule, key) = (Rule::concurrency(5).expect("a rule"), key(1, "full"));
    let error = store.take(&[ask(&rule, &key, 1)], now()).await.expect_err("no memory");
    assert_eq!(error.kind(), "refused");
}
