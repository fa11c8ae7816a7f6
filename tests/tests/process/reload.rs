//! Signals that say: read the configuration again, open the log anew.

use tidegate_testkit::{Signal, wait_until, wait_until_async};

use crate::Tidegate;

fn replying(text: &str) -> String {
    format!("routing: {{ routes: [{{ name: fixed, reply: {{ body: \"{text}\" }} }}] }}\n")
}

/// Changes the file in place, without a word to anybody else.
fn edit(tidegate: &Tidegate, from: &str, to: &str) {
    let file = tidegate.program.dir().join("tidegate.yaml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(file, text.replace(from, to)).expect("the configuration is written");
}

#[tokio::test]
async fn a_hangup_reads_the_file_again_and_a_bad_file_is_told_of_and_not_used() {
    let mut tidegate = Tidegate::start(&replying("one")).await;
    assert_eq!(tidegate.get("/").await.text(), "one");
    edit(&tidegate, "body: \"one\"", "body: \"two\"");
    tidegate.program.signal(Signal::Hup);
    wait_until_async("the new answer", async || tidegate.get("/").await.text() == "two").await;

    edit(&tidegate, "reply:", "rpely:");
    tidegate.program.signal(Signal::Hup);
    wait_until("the error to be logged", || tidegate.program.output().contains("did you mean `reply`")).await;
    let output = tidegate.program.output();
    assert!(output.contains("tidegate.yaml:1:"), "{output}");
    assert_eq!(tidegate.get("/").await.text(), "two");
    assert_eq!(tidegate.program.exited(), None);

    edit(&tidegate, "rpely:", "reply:");
    edit(&tidegate, "body: \"two\"", "body: \"three\"");
    tidegate.program.signal(Signal::Hup);
    wait_until_async("the newest answer", async || tidegate.get("/").await.text() == "three").await;
}

#[tokio::test]
async fn what_is_likely_a_mistake_is_logged_at_each_load_with_its_place() {
    let upstreams = "upstreams: { users: { targets: [\"127.0.0.1:1\", \"127.0.0.1:2\"] } }\n";
    let tidegate = Tidegate::start(&format!("{upstreams}{}", replying("one"))).await;
    let count = |text: &str| tidegate.program.output().matches(text).count();
    let warning = "several targets, and nothing notices when one of them fails";
    wait_until("the warning", || count(warning) == 1).await;
    let output = tidegate.program.output();
    let line = output.lines().find(|line| line.contains(warning)).expect("it is there");
    for part in ["WARN", "tidegate.yaml:1:23", "upstreams.users.targets", "`health: {}`"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    tidegate.program.signal(Signal::Hup);
    wait_until("the reload", || count("configuration reloaded") == 1).await;
    assert_eq!(count(warning), 2);
}

#[tokio::test]
async fn a_log_that_was_moved_away_is_opened_anew() {
    let tidegate = Tidegate::start(&replying("hi")).await;
    let (log, old) = (tidegate.program.dir().join("access.log"), tidegate.program.dir().join("access.log.1"));
    // Whole ones only: one may be read while it is written.
    let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default().matches('\n').count();
    tidegate.get("/").await.expect(200);
    wait_until("the first line", || lines(&log) == 1).await;
    std::fs::rename(&log, &old).expect("the log is moved");
    tidegate.program.signal(Signal::Usr1);
    wait_until_async("a line in the new log", async || {
        tidegate.get("/").await.expect(200);
        lines(&log) > 0
    })
    .await;
    assert!(lines(&old) >= 1);
}

#[tokio::test]
async fn a_configuration_that_can_not_be_used_is_exit_code_2() {
    let program = tidegate_testkit::program(crate::tidegate_program(), "nothing: it is built here");
    let mut program = program
        .file("bad.yaml", "listeners: [{ bnid: \"127.0.0.1:0\" }]\nnonsense: 1\n")
        .args(["run", "--config", "bad.yaml"])
        .spawn();
    assert_eq!(program.wait().await.code(), Some(2));
    let output = program.output();
    for part in ["bad.yaml:1:", "listeners[0].bnid", "did you mean `bind`", "bad.yaml:2:1", "nonsense"] {
        assert!(output.contains(part), "{part} is not in:\n{output}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_exit_code_2_and_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("bound");
    let yaml = format!("{}listeners: [{{ bind: \"{addr}\" }}]\nadmin: off\n", replying("hi"));
    let program = tidegate_testkit::program(crate::tidegate_program(), "nothing: it is built here");
    let mut program = program.file("tidegate.yaml", yaml).args(["run", "--config", "tidegate.yaml"]).spawn();
    assert_eq!(program.wait().await.code(), Some(2));
    let output = program.output();
    assert!(output.contains(&addr.to_string()) && output.contains("listeners[0]"), "{output}");
}
