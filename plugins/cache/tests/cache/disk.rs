//! Answers on a disk: after a restart, longer than memory, encrypted, and on a disk that fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_cache::Cache;
use tidegate_core::Method;
use tidegate_testkit::{
    Answer, ManualClock, Request, Script, TestGateway, Upstream, gate, gateway, manual_clock, pattern, upstream,
    wait_until, wait_until_async,
};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
/// Longer than what memory takes of the zones here.
const LONG: usize = 3_000_000;

/// One upstream, one folder, and gateways one after the other.
struct Story {
    upstream: Upstream,
    clock: ManualClock,
    temp: TempDir,
    more: String,
}

impl Story {
    async fn new() -> Self {
        let fresh = |script: Script| script.header("Cache-Control", "max-age=60").header("ETag", "\"one\"");
        let upstream = upstream()
            .route("/a", fresh(Script::reply("the answer")))
            .route("/b", fresh(Script::reply("another answer")))
            .route("/long", fresh(Script::reply(pattern(LONG))))
            .route("/longer", fresh(Script::reply(pattern(LONG))).chunked());
        let temp = tempfile::tempdir().expect("a folder");
        Self { upstream: upstream.start().await, clock: manual_clock(), temp, more: String::new() }
    }

    fn folder(&self) -> PathBuf {
        self.temp.path().join("zone")
    }

    fn yaml(&self) -> String {
        format!(
            "cache: {{ zones: {{ main: {{ memory: 2MiB, max_object: 16MiB, disk: {{ path: {:?}, size: 64MiB, timeout: 60s{} }} }} }} }}\n\
             upstreams: {{ app: {{ targets: [\"{}\"] }} }}\n\
             routing: {{ routes: [{{ name: app, match: {{ path: \"/**\" }}, upstream: app, plugins: {{ cache: {{}} }} }}] }}\n",
            self.folder(),
            self.more,
            self.upstream.target(),
        )
    }

    async fn start(&self) -> TestGateway {
        gateway().plugin::<Cache>().clock(&self.clock).start(&self.yaml()).await
    }

    /// A second gateway for what the first one left.
    async fn restart(&self, gateway: TestGateway) -> TestGateway {
        gateway.shutdown().await;
        drop(gateway);
        self.start().await
    }

    fn asked(&self) -> usize {
        self.upstream.requests().len()
    }

    fn files(&self) -> Vec<PathBuf> {
        files(&self.folder().join("objects"))
    }
}

/// A file system of 2 MiB, where we may make one.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let each = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flatten().flat_map(|entry| each(entry.path())).collect()
}

/// By a name: the port of a gateway is another after each start, and a part of every key.
async fn get(gateway: &TestGateway, path: &str) -> Answer {
    let answer = ask(gateway, Method::GET, path).send().await;
    assert_eq!(answer.status, 200, "{path}");
    answer
}

fn ask<'a>(gateway: &'a TestGateway, method: Method, path: &str) -> Request<'a> {
    gateway.request(method, path).host("app.test")
}

/// Twice, so that it is worth a place on the disk; waits until there are so many answers there.
async fn get_twice(gateway: &TestGateway, path: &str, objects: usize) -> Answer {
    get(gateway, path).await;
    let answer = get(gateway, path).await;
    until_on_disk(gateway, objects).await;
    answer
}

async fn until_on_disk(gateway: &TestGateway, objects: usize) {
    let so_many = async || gateway.metric("tidegate_cache_disk_objects", &[("zone", "main")]).await == objects as f64;
    wait_until_async("the answer to be on the disk", so_many).await;
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("cache-status").is_some_and(|status| status.contains("; hit"))
}

#[tokio::test]
async fn an_answer_survives_a_restart_and_grows_older_meanwhile() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get_twice(&gateway, "/a", 1).await;
    story.clock.advance(Duration::from_secs(20));
    let gateway = story.restart(gateway).await;
    for _ in 0..2 {
        let answer = get(&gateway, "/a").await;
        assert!(is_hit(&answer), "{answer:?}");
        assert_eq!((answer.text().as_str(), answer.header("age")), ("the answer", Some("20")));
    }
    assert_eq!(story.asked(), 1);
}

#[tokio::test]
async fn what_is_asked_for_once_is_not_written() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get(&gateway, "/a").await;
    get_twice(&gateway, "/b", 1).await;
    assert_eq!(story.files().len(), 1);
}

#[tokio::test]
async fn a_body_longer_than_memory_is_kept_on_the_disk() {
    let story = Story::new().await;
    let gateway = story.start().await;
    for (at, path) in ["/long", "/longer"].into_iter().enumerate() {
        assert!(get(&gateway, path).await.body == pattern(LONG));
        until_on_disk(&gateway, at + 1).await;
    }
    let gateway = story.restart(gateway).await;
    for path in ["/long", "/longer"] {
        let answer = get(&gateway, path).await;
        assert!(is_hit(&answer) && answer.body == pattern(LONG));
        let head = ask(&gateway, Method::HEAD, path).send().await.expect(200);
        assert!(is_hit(&head) && head.body.is_empty());
    }
    let range = ask(&gateway, Method::GET, "/long").header("range", "bytes=2000000-2000009").send().await;
    assert_eq!(range.status, 206);
    assert!(range.body == pattern(LONG).slice(2_000_000..2_000_010));
    assert_eq!(story.asked(), 2);
    let held = gateway.metric("tidegate_cache_bytes", &[("zone", "main")]).await;
    assert!(held < 1_000_000.0, "{held} bytes are in memory");
}

#[tokio::test]
async fn a_body_that_is_being_written_to_the_disk_is_read_by_others() {
    let story = Story::new().await;
    let gate = gate();
    let script = Script::reply(pattern(LONG)).header("Cache-Control", "max-age=60").wait_after(2_000_000, &gate);
    story.upstream.set("/slow", script);
    let gateway = story.start().await;
    let reads = (0..3).map(|_| ask(&gateway, Method::GET, "/slow").send());
    let all = futures_util::future::join_all(reads);
    let (answers, ()) = tokio::join!(all, async {
        story.upstream.wait_for_heads(1).await;
        let temporary = || files(&story.folder().join("tmp")).len() == 1;
        wait_until("some of it to be written", temporary).await;
        gate.open();
    });
    answers.into_iter().for_each(|answer| assert!(answer.expect(200).body == pattern(LONG)));
    assert_eq!(story.asked(), 1);
}

#[tokio::test]
async fn a_304_renews_what_is_on_the_disk() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get(&gateway, "/long").await;
    until_on_disk(&gateway, 1).await;
    let renewed = Script::status(304).header("Cache-Control", "max-age=600").header("ETag", "\"one\"");
    story.upstream.set("/long", renewed.header("X-Renewed", "yes"));
    story.clock.advance(Duration::from_secs(100));
    let answer = get(&gateway, "/long").await;
    assert!(answer.body == pattern(LONG));
    let gateway = story.restart(gateway).await;
    story.clock.advance(Duration::from_secs(100));
    let answer = get(&gateway, "/long").await;
    assert!(is_hit(&answer) && answer.body == pattern(LONG));
    assert_eq!(answer.header("x-renewed"), Some("yes"));
    assert_eq!(story.asked(), 2);
}

#[tokio::test]
async fn an_encrypted_folder_has_nothing_of_an_answer_in_plain_text() {
    let mut story = Story::new().await;
    story.more = format!(", encryption: {{ key: \"{KEY}\" }}");
    let marker = "PLAINTEXT-MARKER ".repeat(100);
    let script =
        Script::reply(marker.clone()).header("Cache-Control", "max-age=60").header("X-Marker", "PLAINTEXT-MARKER");
    story.upstream.set("/marked-in-its-path", script);
    let gateway = story.start().await;
    get_twice(&gateway, "/marked-in-its-path", 1).await;
    let gateway = story.restart(gateway).await;
    let answer = get(&gateway, "/marked-in-its-path").await;
    assert!(is_hit(&answer) && answer.text() == marker);
    let all: Vec<u8> = files(&story.folder()).iter().flat_map(|file| fs::read(file).expect("a file")).collect();
    let has = |text: &[u8]| all.windows(text.len()).any(|part| part == text);
    assert!(all.len() > marker.len() && !has(b"PLAINTEXT") && !has(b"marked-in"), "it shows");
    // With another key it is a miss, and no garbage.
    story.more = format!(", encryption: {{ key: \"{}\" }}", KEY.replace('1', "2"));
    let gateway = story.restart(gateway).await;
    let answer = get(&gateway, "/marked-in-its-path").await;
    assert!(!is_hit(&answer) && answer.text() == marker);
}

#[tokio::test]
async fn what_is_damaged_is_fetched_again() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get_twice(&gateway, "/a", 1).await;
    let file = &story.files()[0];
    let whole = fs::read(file).expect("the file");
    let mut gateway = gateway;
    for (at, length) in
        [(3, whole.len()), (whole.len() / 2, whole.len()), (whole.len() - 1, whole.len()), (0, 20), (0, 0)]
    {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, &bytes[..length]).expect("written");
        gateway = story.restart(gateway).await;
        let answer = get(&gateway, "/a").await;
        assert!(!is_hit(&answer) && answer.text() == "the answer", "{at} {length}");
        assert_eq!(gateway.metric("tidegate_cache_disk_reads_total", &[("result", "broken")]).await, 1.0);
    }
    assert_eq!(story.asked(), 6);
}

#[tokio::test]
async fn a_long_body_damaged_in_its_middle_is_cut_off() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get(&gateway, "/longer").await;
    until_on_disk(&gateway, 1).await;
    let file = &story.files()[0];
    let mut bytes = fs::read(file).expect("the file");
    bytes[2_000_000] ^= 1;
    fs::write(file, bytes).expect("written");
    let cut = ask(&gateway, Method::GET, "/longer").try_send().await;
    assert!(cut.is_err(), "a part must not look like the whole");
    assert!(get(&gateway, "/longer").await.body == pattern(LONG));
    assert_eq!(story.asked(), 2);
}

#[tokio::test]
async fn without_its_folder_a_gateway_answers_all_the_same_and_makes_it_anew() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get_twice(&gateway, "/a", 1).await;
    fs::remove_dir_all(story.folder()).expect("removed");
    fs::write(story.folder(), "a file in its place").expect("written");
    for path in ["/a", "/long", "/b"] {
        get(&gateway, path).await;
    }
    fs::remove_file(story.folder()).expect("removed");
    get(&gateway, "/longer").await;
    // What was there is counted still: nobody has looked for it on the disk.
    until_on_disk(&gateway, 2).await;
    assert_eq!(story.files().len(), 1);
    let asked = story.asked();
    assert!(is_hit(&get(&gateway, "/longer").await));
    assert_eq!(story.asked(), asked);
}

#[tokio::test]
async fn on_a_full_disk_a_gateway_answers_all_the_same() {
    let story = Story::new().await;
    fs::create_dir(story.folder()).expect("made");
    let Some(_small) = Small::mount(&story.folder()) else {
        eprintln!("not checked: no file system can be mounted here");
        return;
    };
    let gateway = story.start().await;
    for path in ["/long", "/longer", "/long"] {
        assert!(get(&gateway, path).await.body == pattern(LONG));
    }
    // What is asked for while the disk says no is fetched as well, and whole.
    let mut slow = Vec::new();
    for _ in 0..3 {
        slow.push(ask(&gateway, Method::GET, "/longer").download());
    }
    for download in futures_util::future::join_all(slow).await {
        assert!(download.check.is_intact() && download.check.length() == LONG as u64);
    }
    let full = async || gateway.metric("tidegate_cache_disk_writes_total", &[("result", "full")]).await >= 3.0;
    wait_until_async("the disk to be full", full).await;
    // What is short has room as soon as the last of these is given up.
    let mut number = 0;
    let stored = async || {
        number += 1;
        for _ in 0..2 {
            get(&gateway, &format!("/a?{number}")).await;
        }
        gateway.metric("tidegate_cache_disk_objects", &[("zone", "main")]).await >= 1.0
    };
    wait_until_async("a short answer to be stored", stored).await;
}

#[tokio::test]
async fn a_folder_is_not_for_two_zones_or_two_gateways() {
    let story = Story::new().await;
    let both = story.yaml().replace(
        "zones: { main:",
        &format!("zones: {{ other: {{ disk: {{ path: {:?}, size: 64MiB }} }}, main:", story.folder()),
    );
    // A dry run touches nothing.
    gateway().plugin::<Cache>().check(&story.yaml()).expect("it could be used");
    assert!(!story.folder().exists());
    let error = gateway().plugin::<Cache>().try_start(&both).await.expect_err("refused");
    assert!(error.contains("give each zone a folder of its own"), "{error}");
}

#[tokio::test]
async fn a_configuration_that_is_loaded_again_keeps_what_is_stored() {
    let mut story = Story::new().await;
    let gateway = story.start().await;
    get_twice(&gateway, "/a", 1).await;
    get(&gateway, "/long").await;
    until_on_disk(&gateway, 2).await;
    story.more = ", threads: 2".to_owned();
    gateway.reload(&story.yaml()).await.expect("reloaded");
    for path in ["/a", "/long"] {
        assert!(is_hit(&get(&gateway, path).await));
    }
    assert_eq!(story.asked(), 2);
}

#[tokio::test]
async fn what_was_made_invalid_does_not_come_back_with_a_restart() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get_twice(&gateway, "/a", 1).await;
    get(&gateway, "/long").await;
    until_on_disk(&gateway, 2).await;
    for path in ["/a", "/long"] {
        ask(&gateway, Method::DELETE, path).send().await;
    }
    let gateway = story.restart(gateway).await;
    for path in ["/a", "/long"] {
        assert!(!is_hit(&get(&gateway, path).await), "{path}");
    }
}

#[tokio::test]
async fn a_newer_answer_takes_the_place_of_the_one_on_the_disk() {
    let story = Story::new().await;
    let gateway = story.start().await;
    get_twice(&gateway, "/a", 1).await;
    let newer = Script::reply("a newer answer").header("Cache-Control", "max-age=60");
    story.upstream.set("/a", newer);
    story.clock.advance(Duration::from_secs(100));
    assert_eq!(get(&gateway, "/a").await.text(), "a newer answer");
    // It was asked for once: the older one must not be there in its place.
    let gateway = story.restart(gateway).await;
    let answer = get(&gateway, "/a").await;
    assert!(!is_hit(&answer) && answer.text() == "a newer answer");
}
