//! What becomes of targets as lists change.

use std::collections::BTreeSet;

use tidegate_upstream::{Failure, NoTarget, Pick, SourceError, TargetConfig, TryOutcome};
use tokio::net::TcpListener;

use super::{Running, SECOND, targets};
use crate::support::{NameServer, Says, kept_port, pick, until};

const APP: &str = "app: { targets: ['10.0.0.1:80'] }";

#[tokio::test]
async fn an_embedder_can_feed_a_pool() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();

    feed.send(Ok(targets(&["10.0.0.2:80", "10.0.0.2:80", "10.0.0.3:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]).await;

    feed.send(Ok(Vec::new())).unwrap();
    app.until_it_serves(&["10.0.0.1:80"]).await;
    assert_eq!(app.counted("updates", "sent"), 2);
}

#[tokio::test]
async fn a_source_that_fails_is_asked_again_with_growing_pauses() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();
    feed.send(Ok(targets(&["10.0.0.2:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    let before = app.clock.sleepers();

    for (failures, pause) in [(1, 1), (2, 2), (3, 4)] {
        feed.send(Err(SourceError::new("out of order"))).unwrap();
        until("the source fails", || app.counted("failures", "sent") == failures).await;
        until("the pause begins", || app.clock.sleepers() == before + 1).await;
        app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);
        app.clock.advance(pause * SECOND);
        until("the pause ends", || app.clock.sleepers() == before).await;
    }

    feed.send(Ok(targets(&["10.0.0.3:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.3:80"]).await;
}

#[tokio::test]
async fn a_list_with_one_bad_target_is_refused_as_a_whole() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();
    let mut wrong = targets(&["10.0.0.2:80", "10.0.0.3:80"]);
    wrong[1].weight = 1_000;

    feed.send(Ok(wrong)).unwrap();

    until("the list is refused", || app.counted("failures", "sent") == 1).await;
    app.assert_serves(&["10.0.0.1:80"]);
}

#[tokio::test]
async fn a_target_that_is_removed_drains_and_is_forgotten() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();
    feed.send(Ok(targets(&["10.0.0.2:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    let mut in_flight = (0..).map(|_| pick(app.pool())).find(|picked| picked.address() == "10.0.0.2:80").unwrap();

    feed.send(Ok(Vec::new())).unwrap();
    app.until_it_serves(&["10.0.0.1:80"]).await;
    assert!(app.with_series().contains("10.0.0.2:80"), "its request is still counted");

    in_flight.answered();
    in_flight.finish(TryOutcome::Answered { status: 200, grpc: None });
    let id = in_flight.id();
    drop(in_flight);
    assert_eq!(app.with_series(), BTreeSet::from(["10.0.0.1:80".to_owned()]));

    feed.send(Ok(targets(&["10.0.0.2:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.2:80"]).await;
    let again = (0..).map(|_| pick(app.pool())).find(|picked| picked.address() == "10.0.0.2:80").unwrap();
    assert_ne!(again.id(), id, "whoever comes back is somebody else");
}

#[tokio::test]
async fn a_target_of_two_lists_is_one_until_both_have_dropped_it() {
    let mut app = Running::start("app: { targets: ['10.0.0.9:80'] }").await;
    let (first, second) = (app.feed(), app.feed());
    first.send(Ok(targets(&["10.0.0.1:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.9:80"]).await;
    let id = |app: &Running| (0..).map(|_| pick(app.pool())).find(|p| p.address() == "10.0.0.1:80").unwrap().id();
    let known = id(&app);
    second.send(Ok(targets(&["10.0.0.1:80", "10.0.0.2:80"]))).unwrap();
    app.until_it_serves(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"]).await;

    let turns = (0..30).filter(|_| pick(app.pool()).address() == "10.0.0.1:80").count();
    assert_eq!(turns, 10, "it has one share, not two");
    first.send(Ok(Vec::new())).unwrap();
    until("the first list is empty", || app.counted("updates", "sent") == 3).await;

    assert_eq!(id(&app), known);
    second.send(Ok(Vec::new())).unwrap();
    app.until_it_serves(&["10.0.0.9:80"]).await;
}

#[tokio::test]
async fn a_name_of_two_lists_moves_in_both() {
    let names = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let mut app =
        Running::start(&format!("app: {{ targets: ['a.test:80'], resolve: {{ nameserver: \"{}\" }} }}", names.address))
            .await;
    let feed = app.feed();
    feed.send(Ok(targets(&["a.test:80", "b.test:80"]))).unwrap();
    until("the other name is resolved", || names.questions() == 2).await;
    let turns = |address: &str| (0..20).filter(|_| pick(app.pool()).address() == address).count();
    until("both names take turns", || turns("10.0.0.1:80") == 20 && names.questions() == 2).await;

    names.now_says(Says::v4([10, 0, 0, 2], 60));
    // The names, and the source's pauses: none.
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(60 * SECOND);

    app.until_it_serves(&["10.0.0.2:80"]).await;
    assert_eq!(names.questions(), 4, "a name is asked for once, however many lists have it");
}

#[tokio::test]
async fn those_who_are_replaced_serve_until_the_first_of_the_new_is_checked() {
    let (old, new) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (old, new_address) = (old.local_addr().unwrap().to_string(), new.local_addr().unwrap().to_string());
    let app = Running::start(&format!("app: {{ targets: ['{old}'], health: {{ type: tcp }} }}")).await;
    app.assert_serves(&[&old]);

    app.pool().set_targets(targets(&[&new_address])).unwrap();

    // No request is without a target meanwhile.
    until("the new target serves", || pick(app.pool()).address() == new_address).await;
    app.until_it_serves(&[&new_address]).await;

    drop(new);
    let (closed, _kept) = kept_port();
    app.pool().set_targets(targets(&[&closed.to_string()])).unwrap();
    let none = || app.pool().pick(&Pick::default()).err() == Some(NoTarget::Unusable);
    until("the first check decides", none).await;
}

#[tokio::test]
async fn a_list_in_another_order_says_nothing_new() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();
    let listed = || app.pool().snapshot().targets.iter().map(|target| target.target.clone()).collect::<Vec<_>>();
    feed.send(Ok(targets(&["10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"]))).unwrap();
    until("the list is taken", || app.counted("updates", "sent") == 1).await;
    let known = listed();

    feed.send(Ok(targets(&["10.0.0.4:80", "10.0.0.2:80", "10.0.0.3:80"]))).unwrap();
    until("the list is taken", || app.counted("updates", "sent") == 2).await;
    assert_eq!(listed(), known);

    let heavier = TargetConfig { weight: 2, ..targets(&["10.0.0.3:80"]).remove(0) };
    feed.send(Ok([targets(&["10.0.0.4:80", "10.0.0.2:80"]), vec![heavier]].concat())).unwrap();
    until("the list is taken", || app.counted("updates", "sent") == 3).await;
    assert_ne!(listed(), known, "it has another weight");
}

#[tokio::test]
async fn what_requests_of_an_old_configuration_learn_is_known_to_the_new_one() {
    let yaml = "app: { targets: ['10.0.0.1:80', '10.0.0.2:80'], outlier: { consecutive_connect: 1 } }";
    let mut app = Running::start(yaml).await;
    let mut old = (0..).map(|_| pick(app.pool())).find(|picked| picked.address() == "10.0.0.1:80").unwrap();

    app.reload(&yaml.replace("app: {", "app: { timeouts: { read: 1s },")).await;
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);
    old.finish(TryOutcome::Failed(Failure::Connect));

    app.assert_serves(&["10.0.0.2:80"]);
}

#[tokio::test]
async fn the_tasks_of_a_pool_end_when_another_has_taken_over() {
    let mut app = Running::start(APP).await;
    // A request of the old configuration that takes its time.
    let old = pick(app.pool());

    app.reload("app: { targets: ['10.0.0.1:80'], timeouts: { read: 1s } }").await;

    let before = app.tasks.remove(0);
    tokio::time::timeout(super::LONG, before).await.unwrap().unwrap();
    drop(old);
}

#[tokio::test]
async fn ten_thousand_targets_come_and_go() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();
    let many: Vec<String> = (0..10_000).map(|n| format!("10.1.{}.{}:80", n / 256, n % 256)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    feed.send(Ok(targets(&many))).unwrap();
    until("the list is taken", || app.counted("updates", "sent") == 1).await;
    feed.send(Ok(targets(&many[1..]))).unwrap();
    until("the list is taken", || app.counted("updates", "sent") == 2).await;
    feed.send(Ok(Vec::new())).unwrap();

    app.until_it_serves(&["10.0.0.1:80"]).await;
    let mut more = targets(&many);
    more.extend(targets(&["10.2.0.1:80"]));
    feed.send(Ok(more)).unwrap();
    until("the list is refused", || app.counted("failures", "sent") == 1).await;
}

#[tokio::test]
async fn each_of_many_names_is_asked_for_once() {
    let server = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let mut app = Running::start(&format!(
        "app: {{ targets: ['10.0.0.9:80'], resolve: {{ nameserver: \"{}\" }} }}",
        server.address
    ))
    .await;
    let feed = app.feed();
    let many: Vec<String> = (0..500).map(|n| format!("n{n}.test:80")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();

    feed.send(Ok(targets(&many))).unwrap();
    let resolved = || app.pool().snapshot().targets.iter().filter(|target| !target.addresses.is_empty()).count();
    until("all are resolved", || resolved() == 501).await;
    assert_eq!(server.questions(), 500);
}
