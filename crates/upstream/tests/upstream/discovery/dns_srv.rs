//! `type: dns_srv`.

use std::net::IpAddr;

use super::{Running, SECOND};
use crate::support::{NameServer, Says, Service, until};

fn yaml(server: &NameServer) -> String {
    let source = "{ type: dns_srv, name: _http._tcp.app.test }";
    format!("app: {{ discovery: [{source}], resolve: {{ nameserver: \"{}\" }} }}", server.address)
}

fn says(services: &[Service]) -> Says {
    Says::Services(services.to_vec(), IpAddr::from([10, 0, 0, 1]), 60)
}

#[tokio::test]
async fn srv_records_are_targets_before_the_first_request() {
    let server = NameServer::start(says(&[(1, 1, 81, "a.test."), (1, 1, 82, "b.test.")])).await;
    let app = Running::start(&yaml(&server)).await;
    app.assert_serves(&["10.0.0.1:81", "10.0.0.1:82"]);
}

#[tokio::test]
async fn lower_priorities_serve_when_the_higher_ones_are_out() {
    let server = NameServer::start(says(&[(20, 1, 82, "b.test."), (10, 0, 81, "a.test.")])).await;
    let app = Running::start(&yaml(&server)).await;
    app.assert_serves(&["10.0.0.1:81"]);

    assert!(app.pool().drain("a.test.:81", true));

    app.assert_serves(&["10.0.0.1:82"]);
}

#[tokio::test]
async fn srv_records_are_asked_for_again_within_their_ttl() {
    let server = NameServer::start(says(&[(1, 1, 81, "a.test.")])).await;
    let app = Running::start(&yaml(&server)).await;

    server.now_says(says(&[(1, 1, 82, "a.test."), (1, 1, 83, "b.test.")]));
    // The records, and the names that they lead to.
    until("both tasks wait", || app.clock.sleepers() == 2).await;
    app.clock.advance(60 * SECOND);

    app.until_it_serves(&["10.0.0.1:82", "10.0.0.1:83"]).await;
}

#[tokio::test]
async fn the_last_srv_records_outlive_the_name() {
    for trouble in [Says::NoSuchName, Says::ServerFailure, Says::Addresses(Vec::new(), 60), says(&[(0, 0, 0, ".")])] {
        let server = NameServer::start(says(&[(1, 1, 81, "a.test.")])).await;
        let app = Running::start(&yaml(&server)).await;

        server.now_says(trouble);
        until("both tasks wait", || app.clock.sleepers() == 2).await;
        app.clock.advance(60 * SECOND);
        until("the source fails", || app.counted("failures", "dns_srv") == 1).await;
        app.assert_serves(&["10.0.0.1:81"]);

        server.now_says(says(&[(1, 1, 82, "a.test.")]));
        until("both tasks wait", || app.clock.sleepers() == 2).await;
        app.clock.advance(SECOND);
        app.until_it_serves(&["10.0.0.1:82"]).await;
    }
}
