//! The end of the program: in order, without loss, and in time (L1-L3, X4, X5, C7).

use std::time::{Duration, Instant};

use http::Method;
use tidegate_testkit::{Client, H2Client, Script, Signal, Upstream, call, gate, pattern, upstream};

use crate::{Tidegate, all_to};

/// The longest that "at once" may take on a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn draining(app: &Upstream, drain: &str) -> String {
    format!("{}server: {{ drain: {{ {drain} }} }}\n", all_to(&app.target()))
}

/// Three requests are under way, with 1 s, 3 s and 2 s left (the source's own example): all three get all of their
/// bodies, and the program ends when the last one has, with 0.
#[tokio::test]
async fn requests_in_flight_end_whole_before_the_program_does() {
    for signal in [Signal::Term, Signal::Int] {
        let gates = [gate(), gate(), gate()];
        let app = upstream()
            .route("/1", Script::generated(100_000).wait_after(50_000, &gates[0]))
            .route("/2", Script::generated(100_000).wait(&gates[1]))
            .route("/3", Script::generated(100_000).chunked().wait_after(99_999, &gates[2]))
            .start()
            .await;
        let mut tidegate = Tidegate::start(&draining(&app, "timeout: 60s")).await;
        let mut requests = Vec::new();
        for path in ["/1", "/2", "/3"] {
            let mut client = tidegate.connect().await;
            requests.push(tokio::spawn(async move { client.send(call(Method::GET, path)).await }));
        }
        app.wait_for(3).await;

        tidegate.program.signal(signal);
        tidegate.until_draining().await;
        tidegate.until_refusing().await;
        // In the order in which they would end: 1 s, 2 s, 3 s.
        for place in [0, 2, 1] {
            assert_eq!(tidegate.program.exited(), None, "it ended before its requests");
            gates[place].open();
            let answer = (&mut requests[place]).await.expect("an answer").expect(200);
            assert_eq!(answer.body, pattern(100_000), "{signal:?}");
        }
        let last = Instant::now();
        assert_eq!(tidegate.program.wait().await.code(), Some(0), "{}", tidegate.program.output());
        assert!(last.elapsed() < SOON, "it waited for {:?} with nothing to do", last.elapsed());
    }
}

#[tokio::test]
async fn readiness_flips_at_once_and_requests_are_served_until_the_delay_is_over() {
    let app = upstream().reply("*", "ok").start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "delay: 1h")).await;
    assert_eq!(tidegate.readiness().await, 200);
    let mut kept = tidegate.connect().await;
    kept.get("/").await.expect(200);
    tidegate.program.signal(Signal::Term);
    tidegate.until_draining().await;
    kept.get("/").await.expect(200);
    tidegate.get("/").await.expect(200);
    assert_eq!(tidegate.program.exited(), None);

    let mut tidegate = Tidegate::start(&draining(&app, "delay: 500ms")).await;
    let signalled = Instant::now();
    tidegate.program.signal(Signal::Term);
    assert_eq!(tidegate.program.wait().await.code(), Some(0));
    assert!(signalled.elapsed() >= Duration::from_millis(500), "the delay was cut short: {:?}", signalled.elapsed());
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_after_the_timeout_and_the_exit_code_says_so() {
    let app = upstream().route("*", Script::stall()).start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 1s")).await;
    let mut client = tidegate.connect().await;
    client.begin(&call(Method::GET, "/")).await;
    app.wait_for(1).await;
    let signalled = Instant::now();
    tidegate.program.signal(Signal::Term);
    assert_eq!(tidegate.program.wait().await.code(), Some(1));
    let took = signalled.elapsed();
    assert!(took >= Duration::from_secs(1) && took < SOON, "{took:?}");
    let output = tidegate.program.output();
    assert!(output.to_lowercase().contains("forced shutdown after timeout"), "{output}");
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once() {
    let app = upstream().route("*", Script::stall()).start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 10m")).await;
    let mut client = tidegate.connect().await;
    client.begin(&call(Method::GET, "/")).await;
    app.wait_for(1).await;
    tidegate.program.signal(Signal::Int);
    tidegate.until_draining().await;
    assert_eq!(tidegate.program.exited(), None);
    let second = Instant::now();
    tidegate.program.signal(Signal::Int);
    assert_eq!(tidegate.program.wait().await.code(), Some(1));
    assert!(second.elapsed() < SOON);
    assert!(client.try_answer().await.is_err());
}

/// The source's own mistake (X4): a force timer that runs from the start would end a healthy program.
#[tokio::test]
async fn the_timeout_does_not_run_before_the_signal() {
    let app = upstream().reply("*", "ok").start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 200ms")).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        tidegate.get("/").await.expect(200);
    }
    assert_eq!(tidegate.program.exited(), None);
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let app = upstream().reply("*", "ok").start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 10m")).await;
    let (mut h1, mut h2) = (tidegate.connect().await, H2Client::connect(tidegate.addr()).await);
    let _silent = tidegate.connect().await;
    h1.get("/").await.expect(200);
    h2.get("/").await.expect(200);
    let signalled = Instant::now();
    tidegate.program.signal(Signal::Term);
    assert_eq!(tidegate.program.wait().await.code(), Some(0));
    assert!(signalled.elapsed() < SOON, "{:?}", signalled.elapsed());
    assert_eq!(h1.until_closed().await, "");
}

#[tokio::test]
async fn answers_on_the_way_out_say_that_the_connection_ends() {
    let held = gate();
    let app = upstream().route("/held", Script::reply("late").wait(&held)).start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 60s")).await;
    let (mut h1, h2) = (tidegate.connect().await, H2Client::connect(tidegate.addr()).await);
    h1.begin(&call(Method::GET, "/held")).await;
    let mut slow = h2.clone();
    let late = tokio::spawn(async move { slow.get("/held").await });
    app.wait_for(2).await;
    tidegate.program.signal(Signal::Term);
    tidegate.until_refusing().await;
    held.open();
    let answer = h1.answer().await.expect(200);
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("late", Some("close")));
    assert_eq!(late.await.expect("an answer").expect(200).text(), "late");
    // GOAWAY: no more streams.
    assert!(h2.clone().try_send(call(Method::GET, "/held")).await.is_err());
    assert_eq!(tidegate.program.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_websocket_is_let_finish() {
    // Long enough for Pingora to look for the end of the request's body first (see `Script::upgrade`).
    let app = upstream().route("/ws", Script::upgrade().delay(Duration::from_secs(1))).start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 60s")).await;
    let mut socket: Client = tidegate.connect().await;
    socket.begin(&call(Method::GET, "/ws").header("Connection", "Upgrade").header("Upgrade", "websocket")).await;
    assert_eq!(socket.head().await.status, 101);
    tidegate.program.signal(Signal::Term);
    tidegate.until_refusing().await;
    socket.write("still here").await;
    let echo = socket.bytes(10).await;
    let log = std::fs::read_to_string(tidegate.program.dir().join("access.log")).unwrap_or_default();
    assert_eq!(echo, "still here", "{log}{}", tidegate.program.output());
    assert_eq!(tidegate.program.exited(), None);
    drop(socket);
    assert_eq!(tidegate.program.wait().await.code(), Some(0));
}

#[tokio::test]
async fn the_log_of_the_last_request_is_written_before_the_end() {
    let app = upstream().reply("*", "ok").start().await;
    let mut tidegate = Tidegate::start(&draining(&app, "timeout: 60s")).await;
    let mut client = tidegate.connect().await;
    for _ in 0..50 {
        client.get("/").await.expect(200);
    }
    tidegate.program.signal(Signal::Term);
    assert_eq!(tidegate.program.wait().await.code(), Some(0));
    let log = std::fs::read_to_string(tidegate.program.dir().join("access.log")).expect("the log");
    assert_eq!(log.lines().count(), 50);
}
