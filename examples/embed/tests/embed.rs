//! Both programs, asked over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};

use tidegate_embed_example::{App, gateway};

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_runs_in_the_runtime_of_another_server() {
    let app = App::start().await.expect("the app starts");
    let gateway = gateway(&app.address().to_string()).await.expect("the gateway starts");
    let address = gateway.address("public").expect("it listens");
    let answer = tokio::task::spawn_blocking(move || get(address, "/hello/world")).await.expect("asked");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("which was asked for /hello/world"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("x-request-id: "), "{answer}");
    let elsewhere = tokio::task::spawn_blocking(move || get(address, "/elsewhere")).await.expect("asked");
    assert!(elsewhere.starts_with("HTTP/1.1 404"), "{elsewhere}");
    assert!(gateway.shutdown().await, "nothing was in flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_in_one_process_share_nothing() {
    let app = App::start().await.expect("the app starts");
    let (one, other) = (gateway(&app.address().to_string()).await, gateway(&app.address().to_string()).await);
    let (one, other) = (one.expect("the first starts"), other.expect("the second starts"));
    assert_ne!(one.address("public"), other.address("public"));
    one.shutdown().await;
    let address = other.address("public").expect("it listens");
    let answer = tokio::task::spawn_blocking(move || get(address, "/hello/there")).await.expect("asked");
    assert!(answer.starts_with("HTTP/1.1 200"), "the end of one is not the end of the other: {answer}");
}

#[test]
fn a_gateway_runs_beside_pingoras_server_and_is_drained_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut program, mut lines) = beside_pingora(&folder.path().join("app.sock"));
    let address = address(&lines.next().expect("a line").expect("text"));
    let answer = get(address, "/hello/world");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("hello from Pingora's server, which was asked for /hello/world"), "{answer}");

    let told = Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    assert_eq!(lines.next().expect("a line").expect("text"), "drained");
    assert!(program.0.wait().expect("it ends").success());
}

/// A program that is killed with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn beside_pingora(socket: &std::path::Path) -> (Program, std::io::Lines<BufReader<ChildStdout>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beside_pingora"));
    let mut child = command.arg(socket).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    (Program(child), lines)
}

fn address(line: &str) -> SocketAddr {
    line.strip_prefix("listening on ").and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// A whole answer, as text.
fn get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).expect("connected");
    let deadline = Some(std::time::Duration::from_secs(30));
    connection.set_read_timeout(deadline).expect("a deadline");
    write!(connection, "GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("answered");
    answer
}
