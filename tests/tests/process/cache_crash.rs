//! The program is killed while answers are written to its disk: after each restart what is served is right.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use tempfile::TempDir;
use tidegate_testkit::{Answer, Call, Client, Script, Signal, Upstream, UpstreamBuilder, call, pattern, upstream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Tidegate;

const ROUNDS: u64 = 100;
/// On a slow machine there are fewer.
const MOST: Duration = Duration::from_secs(50);
const FEWEST: u64 = 10;
/// How long a round looks for a file that is being written: each is there for a moment only.
const LOOKING: Duration = Duration::from_secs(10);
/// How many different answers there are.
const PATHS: u64 = 16;

/// Each path has a body of its own length: of some bytes, of some blocks, and longer than memory takes.
fn length(path: u64) -> usize {
    match path % 4 {
        0 => 100 + path as usize,
        1 => 70_000 + path as usize,
        2 => 200_000 + path as usize * 1000,
        _ => 1_100_000 + path as usize * 10_000,
    }
}

async fn an_upstream() -> Upstream {
    let with = |upstream: UpstreamBuilder, path: u64| {
        let script = Script::reply(pattern(length(path))).header("Cache-Control", "max-age=3600");
        upstream
            .route(&format!("/{path}"), script.header("ETag", format!("\"{path}\"")).header("X-Path", path.to_string()))
    };
    (0..PATHS).fold(upstream(), with).start().await
}

fn yaml(folder: &Path, upstream: &Upstream, sealed: bool) -> String {
    let key = "0f".repeat(32);
    let encryption = if sealed { format!(", encryption: {{ key: \"{key}\" }}") } else { String::new() };
    // So small that all the time something gives way to something else.
    format!(
        "cache: {{ zones: {{ main: {{ memory: 1MiB, max_object: 2MiB, disk: {{ path: {folder:?}, size: 4MiB{encryption} }} }} }} }}\n\
         upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
         routing: {{ routes: [{{ name: all, upstream: app, plugins: {{ cache: {{}} }} }}] }}\n",
        upstream.target()
    )
}

/// By a name: the program's port is another each time, and a part of every key.
fn call_for(path: u64) -> Call {
    call(Method::GET, format!("/{path}")).host("app.test")
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("cache-status").is_some_and(|status| status.contains("; hit"))
}

/// Whatever it comes from, it is what the upstream says.
fn check(path: u64, answer: &Answer) {
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(answer.header("x-path"), Some(path.to_string().as_str()));
    assert!(answer.body == pattern(length(path)), "another body for {path}: {} bytes", answer.body.len());
}

/// Asks for one after the other until the program is gone.
async fn ask(mut client: Client, first: u64, killed: Arc<AtomicBool>) {
    for path in (0..).map(|turn: u64| (first + turn * 7) % PATHS) {
        match client.try_send(call_for(path)).await {
            Ok(answer) => check(path, &answer),
            // A part of an answer is an error to the client.
            Err(_) if killed.load(Ordering::Relaxed) => return,
            Err(error) => panic!("{error} before it was killed"),
        }
    }
}

/// What a round has seen.
struct Seen {
    /// How much of what the last program left was there.
    hits: u64,
    /// Whether something was being written just before the end.
    writing: bool,
}

/// Starts the program, looks at what the last one left, and kills it when everybody is at it.
async fn round(number: u64, folder: &TempDir, upstream: &Upstream) -> Seen {
    let path = folder.path().join(if number.is_multiple_of(2) { "sealed" } else { "plain" });
    let mut gateway = Tidegate::start(&yaml(&path, upstream, number.is_multiple_of(2))).await;
    let hits = AtomicU64::new(0);
    let mut client = gateway.connect().await;
    for path in 0..PATHS {
        let answer = client.send(call_for(path)).await;
        check(path, &answer);
        hits.fetch_add(u64::from(is_hit(&answer)), Ordering::Relaxed);
    }
    let killed = Arc::new(AtomicBool::new(false));
    let mut busy = JoinSet::new();
    for first in 0..4 {
        busy.spawn(ask(gateway.connect().await, first * 5 + number, killed.clone()));
    }
    let temporary = path.join("tmp");
    let is_written = || std::fs::read_dir(&temporary).is_ok_and(|mut files| files.next().is_some());
    let looked = Instant::now();
    let mut writing = is_written();
    while !writing && looked.elapsed() < LOOKING {
        sleep(Duration::from_millis(1)).await;
        writing = is_written();
    }
    sleep(Duration::from_micros(number * 7919 % 20_000)).await;
    killed.store(true, Ordering::Relaxed);
    gateway.program.signal(Signal::Kill);
    gateway.program.wait().await;
    while let Some(ended) = busy.join_next().await {
        ended.expect("nobody got anything else");
    }
    Seen { hits: hits.into_inner(), writing }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_wrong_after_the_program_was_killed_while_it_wrote_to_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = an_upstream().await;
    // Not with the time that it takes to build the program.
    crate::tidegate_program();
    let begun = Instant::now();
    let (mut hits, mut writing) = (0, 0);
    for number in 0..ROUNDS {
        if number >= FEWEST && begun.elapsed() > MOST {
            eprintln!("{number} rounds: this machine is slow");
            break;
        }
        let seen = round(number, &folder, &upstream).await;
        hits += seen.hits;
        writing += u64::from(seen.writing);
    }
    // It is not that nothing was there.
    assert!(hits > FEWEST, "only {hits} answers were found again");
    assert!(writing >= FEWEST / 2, "only {writing} times something was being written");
}
