//! What an operator changes at run time.

use super::{Running, SECOND, targets};
use crate::support::{NameServer, Says, pick, until};

const APP: &str = "app: { targets: ['10.0.0.1:80', '10.0.0.2:80'] }";

#[tokio::test]
async fn targets_are_replaced_at_once_and_come_back() {
    let app = Running::start(APP).await;
    let known = (0..).map(|_| pick(app.pool())).find(|picked| picked.address() == "10.0.0.2:80").unwrap().id();

    app.pool().set_targets(targets(&["10.0.0.2:80", "10.0.0.3:80"])).unwrap();
    app.assert_serves(&["10.0.0.2:80", "10.0.0.3:80"]);
    let still = (0..).map(|_| pick(app.pool())).find(|picked| picked.address() == "10.0.0.2:80").unwrap().id();
    assert_eq!(still, known);

    app.pool().set_targets(targets(&["10.0.0.4:80"])).unwrap();
    app.assert_serves(&["10.0.0.4:80"]);

    assert!(app.pool().clear_targets());
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);
    assert!(!app.pool().clear_targets(), "there is nothing left to clear");
}

#[tokio::test]
async fn wrong_targets_are_refused_with_their_places_and_change_nothing() {
    let app = Running::start(APP).await;
    let mut wrong = targets(&["10.0.0.9:80", "http://x", "10.0.0.9:80", "10.0.0.8:80"]);
    wrong[3].weight = 0;

    let errors = app.pool().set_targets(wrong).unwrap_err();

    let mut places: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    places.sort();
    assert_eq!(places, ["targets[1]", "targets[2]", "targets[3].weight"]);
    assert!(app.pool().set_targets(Vec::new()).is_err());
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);
}

#[tokio::test]
async fn sources_wait_for_the_operator() {
    let mut app = Running::start(APP).await;
    let feed = app.feed();
    app.pool().set_targets(targets(&["10.0.0.9:80"])).unwrap();

    feed.send(Ok(targets(&["10.0.0.3:80"]))).unwrap();
    until("the source is heard", || app.counted("updates", "sent") == 1).await;
    app.assert_serves(&["10.0.0.9:80"]);

    app.pool().clear_targets();
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]);
}

#[tokio::test]
async fn only_a_reload_that_changes_the_upstream_ends_what_the_operator_set() {
    let mut app = Running::start(APP).await;
    app.pool().set_targets(targets(&["10.0.0.9:80"])).unwrap();

    app.reload(&format!("{APP}\nother: {{ targets: ['10.0.0.5:80'] }}")).await;
    app.assert_serves(&["10.0.0.9:80"]);

    app.reload(&APP.replace("app: {", "app: { timeouts: { read: 1s },")).await;
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);
}

#[tokio::test]
async fn names_are_followed_while_an_operator_has_replaced_them() {
    let names = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let app =
        Running::start(&format!("app: {{ targets: ['a.test:80'], resolve: {{ nameserver: \"{}\" }} }}", names.address))
            .await;
    app.pool().set_targets(targets(&["10.0.0.9:80"])).unwrap();

    names.now_says(Says::v4([10, 0, 0, 2], 60));
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(60 * SECOND);
    until("asked again", || names.questions() == 2).await;
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.assert_serves(&["10.0.0.9:80"]);

    app.pool().clear_targets();
    app.assert_serves(&["10.0.0.2:80"]);
}

#[tokio::test]
async fn those_who_are_replaced_serve_until_the_name_of_the_new_is_resolved() {
    let names = NameServer::start(Says::v4([10, 0, 0, 9], 60)).await;
    let resolve = format!("resolve: {{ nameserver: \"{}\" }},", names.address);
    let app = Running::start(&APP.replace("app: {", &format!("app: {{ {resolve}"))).await;

    app.pool().set_targets(targets(&["new.test:80"])).unwrap();

    // No request is without a target meanwhile.
    until("the new target serves", || pick(app.pool()).address() == "10.0.0.9:80").await;

    names.now_says(Says::NoSuchName);
    app.pool().set_targets(targets(&["none.test:80"])).unwrap();
    app.until_it_serves(&[]).await;
}

#[tokio::test]
async fn a_drained_target_gets_no_new_request_until_it_is_restored() {
    let mut app = Running::start(APP).await;

    assert!(app.pool().drain("10.0.0.1:80", true));
    assert!(app.pool().drain("10.0.0.1:80", true), "twice is no harm");
    app.assert_serves(&["10.0.0.2:80"]);

    app.reload(&APP.replace("app: {", "app: { timeouts: { read: 1s },")).await;
    app.assert_serves(&["10.0.0.2:80"]);
    app.reload(&APP.replace("app: {", "app: { health: { type: tcp, assume_healthy: true },")).await;
    app.assert_serves(&["10.0.0.2:80"]);

    assert!(app.pool().drain("10.0.0.1:80", false));
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);
    for unknown in ["10.0.0.3:80", "nowhere", ""] {
        assert!(!app.pool().drain(unknown, true), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_name_is_drained_wherever_it_leads() {
    let names = NameServer::start(Says::v4([10, 0, 0, 1], 60)).await;
    let yaml =
        format!("app: {{ targets: ['a.test:80', '10.0.0.9:80'], resolve: {{ nameserver: \"{}\" }} }}", names.address);
    let app = Running::start(&yaml).await;
    assert!(app.pool().drain("A.test:80", true));
    app.assert_serves(&["10.0.0.9:80"]);

    names.now_says(Says::Addresses(vec![[10, 0, 0, 2].into(), [10, 0, 0, 3].into()], 60));
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(60 * SECOND);
    until("asked again", || names.questions() == 2).await;
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.assert_serves(&["10.0.0.9:80"]);

    assert!(app.pool().drain("10.0.0.2:80", false), "one of its addresses");
    app.assert_serves(&["10.0.0.2:80", "10.0.0.9:80"]);
    assert!(app.pool().drain("a.test:80", false));
    app.assert_serves(&["10.0.0.2:80", "10.0.0.3:80", "10.0.0.9:80"]);
}
