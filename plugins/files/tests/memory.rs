//! What a large file costs while it is sent; in a process of its own, whose memory is nobody else's.

use tidegate_core::Method;
use tidegate_files::Files;
use tidegate_testkit::{call, gateway};

/// Of the file: most of it is nowhere on the disk.
const LARGE: u64 = 1 << 30;
/// What the whole process may have had at once.
const BOUND: u64 = 128 << 20;

/// The most memory that this process ever had.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_to_a_client_that_is_slower_than_the_disk_needs_little_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::File::create(folder.path().join("a.bin")).and_then(|file| file.set_len(LARGE)).expect("made");
    let yaml =
        format!("routing: {{ routes: [{{ name: a, endpoint: {{ files: {{ root: {:?} }} }} }}] }}\n", folder.path());
    let gateway = gateway().plugin::<Files>().start(&yaml).await;
    let mut client = gateway.connect().await;
    client.begin(&call(Method::GET, "/a.bin")).await;
    assert_eq!(client.head().await.header("content-length"), Some(&*LARGE.to_string()));
    let mut got = 0;
    while let Some(piece) = client.piece().await {
        got += piece.len() as u64;
    }
    assert_eq!(got, LARGE);
    assert!(peak() < BOUND, "{} MiB", peak() >> 20);
}
