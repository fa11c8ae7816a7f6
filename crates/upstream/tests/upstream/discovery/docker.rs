//! `type: docker`, with a daemon that says what the test tells it to.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Running, SECOND};
use crate::support::{LittleServer, until};

struct Docker {
    server: LittleServer,
    folder: TempDir,
}

impl Docker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { server: LittleServer::on_socket(&folder.path().join("docker.sock")), folder }
    }

    fn runs(&self, containers: &[Value]) {
        self.server.says_body("/containers/json?", "", &json!(containers).to_string());
    }

    fn yaml(&self) -> String {
        let socket = self.folder.path().join("docker.sock");
        let source = format!("{{ type: docker, label: tidegate.upstream=app, socket: \"{}\" }}", socket.display());
        format!("app: {{ discovery: [{source}] }}")
    }

    fn lists(&self) -> usize {
        self.server.asked("/containers/json?").len()
    }
}

fn container(id: &str, last: u8) -> Value {
    json!({
        "Id": id, "Names": [format!("/{id}")], "State": "running", "Status": "Up 1 minute",
        "Labels": { "tidegate.upstream": "app" }, "Ports": [{ "PrivatePort": 80, "Type": "tcp" }],
        "NetworkSettings": { "Networks": { "bridge": { "IPAddress": format!("172.17.0.{last}") } } },
    })
}

#[tokio::test]
async fn running_containers_with_the_label_are_targets() {
    let docker = Docker::start();
    docker.runs(&[container("a", 2), container("b", 3)]);
    let app = Running::start(&docker.yaml()).await;

    app.assert_serves(&["172.17.0.2:80", "172.17.0.3:80"]);

    let asked = &docker.server.asked("/containers/json?")[0];
    let filters = r#"{"label":["tidegate.upstream=app"],"status":["running"]}"#;
    let encoded = asked.split("filters=").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(percent_decoded(encoded), filters);
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

#[tokio::test]
async fn an_event_is_followed_at_once_and_the_interval_finds_what_was_missed() {
    let docker = Docker::start();
    docker.runs(&[container("a", 2)]);
    let app = Running::start(&docker.yaml()).await;

    until("events are listened to", || docker.server.listeners() == 1).await;
    docker.runs(&[container("a", 2), container("b", 3)]);
    docker.server.event(r#"{"Action":"start","Actor":{"ID":"b"}}"#);
    app.until_it_serves(&["172.17.0.2:80", "172.17.0.3:80"]).await;

    docker.runs(&[container("b", 3)]);
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(10 * SECOND);
    app.until_it_serves(&["172.17.0.3:80"]).await;
}

#[tokio::test]
async fn a_container_that_is_told_to_stop_gets_no_new_request_while_it_still_runs() {
    let docker = Docker::start();
    docker.runs(&[container("a", 2), container("b", 3)]);
    let app = Running::start(&docker.yaml()).await;
    until("events are listened to", || docker.server.listeners() == 1).await;

    docker.server.event(r#"{"Action":"kill","Actor":{"ID":"a","Attributes":{"signal":"15"}}}"#);

    app.until_it_serves(&["172.17.0.3:80"]).await;

    docker.server.event(r#"{"Action":"start","Actor":{"ID":"a"}}"#);
    app.until_it_serves(&["172.17.0.2:80", "172.17.0.3:80"]).await;
}

#[tokio::test]
async fn a_container_that_is_labelled_wrongly_does_not_hold_up_the_others() {
    let docker = Docker::start();
    let mut wrong = container("b", 3);
    wrong["Labels"]["tidegate.weight"] = "heavy".into();
    docker.runs(&[container("a", 2), wrong]);

    let app = Running::start(&docker.yaml()).await;

    app.assert_serves(&["172.17.0.2:80"]);
    assert_eq!(app.counted("failures", "docker"), 0);
}

#[tokio::test]
async fn a_daemon_that_fails_keeps_the_last_list_and_none_running_is_none() {
    let docker = Docker::start();
    docker.runs(&[container("a", 2)]);
    let app = Running::start(&docker.yaml()).await;

    for (failures, wrong) in
        [(1, &b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"[..]), (2, b"HTTP/1.1 200 OK\r\n\r\n{}")]
    {
        docker.server.says("/containers/json?", wrong);
        until("the task waits", || app.clock.sleepers() == 1).await;
        app.clock.advance(30 * SECOND);
        until("the source fails", || app.counted("failures", "docker") == failures).await;
        app.assert_serves(&["172.17.0.2:80"]);
    }

    docker.runs(&[]);
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(30 * SECOND);
    app.until_it_serves(&[]).await;
}

#[tokio::test]
async fn without_events_there_is_the_interval() {
    let docker = Docker::start();
    docker.runs(&[container("a", 2)]);
    docker.server.says("/events", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let app = Running::start(&docker.yaml()).await;
    app.assert_serves(&["172.17.0.2:80"]);

    docker.runs(&[container("b", 3)]);
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(10 * SECOND);
    app.until_it_serves(&["172.17.0.3:80"]).await;
    assert_eq!(docker.lists(), 2);
}

#[tokio::test]
async fn events_that_end_at_once_are_not_asked_for_again_and_again() {
    let docker = Docker::start();
    docker.runs(&[container("a", 2)]);
    docker.server.says_body("/events", "", "");
    let app = Running::start(&docker.yaml()).await;

    until("their end has been followed", || docker.lists() == 2).await;
    // As long as several more questions would take.
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    assert_eq!((docker.lists(), docker.server.asked("/events").len()), (2, 1));

    docker.runs(&[container("b", 3)]);
    until("the task waits", || app.clock.sleepers() == 1).await;
    app.clock.advance(10 * SECOND);
    app.until_it_serves(&["172.17.0.3:80"]).await;
    assert_eq!(docker.server.asked("/events").len(), 2, "then they are worth another try");
}
