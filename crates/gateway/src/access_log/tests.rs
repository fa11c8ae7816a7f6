use super::*;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::UNIX_EPOCH;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use tidegate_core::config::Value as Yaml;
use tidegate_core::{AnsweredBy, RawConfig};

const SOON: Duration = Duration::from_secs(30);

fn section(to: Yaml, more: Vec<(&str, Yaml)>) -> AccessLogConfig {
    let value = Yaml::map(more.into_iter().chain([("to", to)]));
    RawConfig::new(value, "access_log").read().expect("a section")
}

fn file(path: &Path) -> Yaml {
    Yaml::map([("file", Yaml::from(&*path.to_string_lossy()))])
}

fn opened(config: &AccessLogConfig, metrics: &Metrics, before: Option<&AccessLog>) -> AccessLog {
    AccessLog::open(config, metrics, before).expect("valid").expect("on")
}

fn dropped(metrics: &Metrics) -> u64 {
    let counter = metrics.counter("tidegate_access_log_dropped_total", "the same", &[]).expect("made");
    counter.with_label_values::<&str>(&[]).get()
}

struct Scene {
    folder: tempfile::TempDir,
    metrics: Metrics,
    log: AccessLog,
}

impl Scene {
    fn new(more: Vec<(&str, Yaml)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::new();
        let log = opened(&section(file(&folder.path().join("a.log")), more), &metrics, None);
        Self { log, folder, metrics }
    }

    fn write(&self, entry: &Entry<'_>) {
        self.log.write_at(UNIX_EPOCH + Duration::from_millis(1_767_323_045_678), entry);
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.log")
    }

    fn text(&self) -> String {
        assert!(self.log.0.writer.flush(SOON));
        fs::read_to_string(self.path()).expect("text")
    }
}

fn plain(headers: &HeaderMap) -> Entry<'_> {
    Entry {
        request_id: "id-1",
        method: "GET",
        path: "/",
        query: None,
        host: "a.test",
        scheme: "http",
        protocol: "HTTP/1.1",
        client: [192, 0, 2, 1].into(),
        peer: None,
        listener: "main",
        tls: None,
        route: "none",
        status: 404,
        duration: Duration::from_micros(133),
        bytes_in: 0,
        bytes_out: 120,
        answered_by: AnsweredBy::Gateway,
        upstream: None,
        target: None,
        tries: 0,
        code: None,
        error: None,
        subject: None,
        headers,
    }
}

fn full_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("user-agent", "curl/8 \"x\""),
        ("referer", "https://b.test/p?token=canary&a=1"),
        ("x-tenant", "acme"),
        ("x-tenant", "evil"),
        ("authorization", "Bearer canary"),
        ("cookie", "session=canary"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

fn full<'a>(headers: &'a HeaderMap, error: &'a str) -> Entry<'a> {
    Entry {
        method: "POST",
        path: "/v1/users/a b",
        query: Some("page=2&access_token=canary"),
        host: "api.example.com:8443",
        scheme: "https",
        protocol: "HTTP/2",
        client: "2001:db8::1".parse().expect("an address"),
        peer: Some("10.0.0.1:4711".parse().expect("an address")),
        tls: Some("TLSv1.3"),
        route: "users",
        status: 502,
        duration: Duration::from_micros(12_345),
        bytes_in: 17,
        bytes_out: 0,
        answered_by: AnsweredBy::Gateway,
        upstream: Some("users"),
        target: Some("10.0.2.45:3000"),
        tries: 2,
        code: Some("upstream_refused"),
        error: Some(error),
        subject: Some("alice"),
        ..plain(headers)
    }
}

fn extra_headers() -> Yaml {
    ["X-Tenant", "Authorization", "X-Absent"].map(Yaml::from).to_vec().into()
}

#[test]
fn the_json_line_of_a_request_is_this_one() {
    let scene = Scene::new(vec![("headers", extra_headers())]);
    scene.write(&full(&full_headers(), "cannot connect: refused"));
    scene.write(&plain(&HeaderMap::new()));
    let expected = concat!(
        r#"{"time":"2026-01-02T03:04:05.678Z","request_id":"id-1","method":"POST","path":"/v1/users/a b","#,
        r#""query":"page=2&access_token=***","host":"api.example.com:8443","scheme":"https","protocol":"HTTP/2","#,
        r#""client":"2001:db8::1","peer":"10.0.0.1:4711","listener":"main","tls":"TLSv1.3","route":"users","#,
        r#""status":502,"duration_ms":12.345,"bytes_in":17,"bytes_out":0,"answered_by":"gateway","#,
        r#""upstream":"users","target":"10.0.2.45:3000","tries":2,"code":"upstream_refused","#,
        r#""error":"cannot connect: refused","identity":"alice","user_agent":"curl/8 \"x\"","#,
        r#""referer":"https://b.test/p?token=***&a=1","header.x-tenant":"acme, evil","header.authorization":"***"}"#,
        "\n",
        r#"{"time":"2026-01-02T03:04:05.678Z","request_id":"id-1","method":"GET","path":"/","host":"a.test","#,
        r#""scheme":"http","protocol":"HTTP/1.1","client":"192.0.2.1","listener":"main","route":"none","status":404,"#,
        r#""duration_ms":0.133,"bytes_in":0,"bytes_out":120,"answered_by":"gateway"}"#,
        "\n"
    );
    assert_eq!(scene.text(), expected);
    for line in scene.text().lines() {
        serde_json::from_str::<Value>(line).expect("JSON");
    }
}

#[test]
fn the_text_line_of_a_request_is_this_one() {
    let scene = Scene::new(vec![("format", Yaml::from("text")), ("headers", extra_headers())]);
    scene.write(&full(&full_headers(), "cannot connect: refused"));
    scene.write(&plain(&HeaderMap::new()));
    let expected = concat!(
        r#"time=2026-01-02T03:04:05.678Z request_id=id-1 method=POST path="/v1/users/a b" "#,
        r#"query="page=2&access_token=***" host="api.example.com:8443" scheme=https protocol=HTTP/2 "#,
        r#"client=2001:db8::1 peer=10.0.0.1:4711 listener=main tls=TLSv1.3 route=users status=502 "#,
        r#"duration_ms=12.345 bytes_in=17 bytes_out=0 answered_by=gateway upstream=users "#,
        r#"target="10.0.2.45:3000" tries=2 code=upstream_refused error="cannot connect: refused" identity=alice "#,
        r#"user_agent="curl/8 \"x\"" referer="https://b.test/p?token=***&a=1" header.x-tenant="acme, evil" "#,
        "header.authorization=***\n",
        r#"time=2026-01-02T03:04:05.678Z request_id=id-1 method=GET path=/ host="a.test" scheme=http "#,
        r#"protocol=HTTP/1.1 client=192.0.2.1 listener=main route=none status=404 duration_ms=0.133 bytes_in=0 "#,
        "bytes_out=120 answered_by=gateway\n"
    );
    assert_eq!(scene.text(), expected);
}

#[test]
fn secrets_never_reach_the_file() {
    for format in ["json", "text"] {
        let names = ["Authorization", "Cookie", "X-Api-Key", "Tax-Number"].map(Yaml::from).to_vec();
        let redact = vec![Yaml::from("tax_number")];
        let more = vec![("format", Yaml::from(format)), ("headers", names.into()), ("redact", redact.into())];
        let scene = Scene::new(more);
        let mut headers = full_headers();
        headers.append("x-api-key", HeaderValue::from_static("canary"));
        headers.append("tax-number", HeaderValue::from_static("canary"));
        let mut entry = full(&headers, "refused");
        entry.path = "/cart;jsessionid=canary/pay";
        entry.query = Some("token=canary&a=1&API-KEY=canary&tax-number=canary&next=%2Fcb%3Fcode%3Dcanary");
        entry.host = "alice:canary@a.test";
        scene.log.write(&entry);
        let text = scene.text();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("/cart;jsessionid=***") && text.contains("a=1"), "{text}");
        assert_eq!(text.matches("***").count(), 11, "{text}");
    }
}

#[test]
fn no_field_can_forge_a_line() {
    let attack = "x\"}\n{\"status\":200}\r\nstatus=200 \u{2028}\u{1b}[2J";
    for format in ["json", "text"] {
        let scene = Scene::new(vec![("format", Yaml::from(format)), ("headers", vec![Yaml::from("x-tenant")].into())]);
        let mut headers = HeaderMap::new();
        for name in ["user-agent", "referer", "x-tenant"] {
            headers.append(name, HeaderValue::from_bytes(b"x\" status=200 \xff\xe2\x80\xa8").expect("a value"));
        }
        let entry = Entry {
            path: attack,
            query: Some(attack),
            host: attack,
            listener: attack,
            tls: Some(attack),
            route: attack,
            upstream: Some(attack),
            target: Some(attack),
            code: Some(attack),
            subject: Some(attack),
            ..full(&headers, attack)
        };
        scene.log.write(&entry);
        let text = scene.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(text.ends_with('\n') && !text.contains(['\r', '\u{1b}', '\u{2028}']), "{text}");
        if format == "json" {
            let line: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(line["status"], 502);
            assert_eq!(line["path"], attack);
        } else {
            assert_eq!(text.matches(" status=502 ").count(), 1);
            assert!(!text.contains(" status=200\n") && !text.starts_with("status=200"), "{text}");
        }
    }
}

#[test]
fn threads_never_mix_their_lines() {
    let scene = Scene::new(vec![("buffer", Yaml::from("64MiB"))]);
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let log = scene.log.clone();
            scope.spawn(move || {
                let headers = full_headers();
                for tries in 0..5000 {
                    log.write(&Entry { tries, bytes_in: thread.into(), ..full(&headers, "refused") });
                }
            });
        }
    });
    let mut next = [0_u64; 4];
    for line in scene.text().lines() {
        let line: Value = serde_json::from_str(line).expect("a whole line");
        let thread = line["bytes_in"].as_u64().expect("a number") as usize;
        assert_eq!(line["tries"], next[thread]);
        next[thread] += 1;
    }
    assert_eq!(next, [5000; 4]);
    assert_eq!(dropped(&scene.metrics), 0);
}

#[test]
fn a_line_is_written_without_anyone_asking() {
    let scene = Scene::new(vec![]);
    scene.log.write(&plain(&HeaderMap::new()));
    let deadline = std::time::Instant::now() + SOON;
    while fs::read_to_string(scene.path()).expect("text").is_empty() {
        assert!(std::time::Instant::now() < deadline, "nothing was written");
        thread::yield_now();
    }
}

#[test]
fn a_pipe_that_nobody_reads_costs_lines_and_never_a_request() {
    const LINES: u64 = 5000;
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let metrics = Metrics::new();
    let log = opened(&section(file(&pipe), vec![("buffer", Yaml::from("64KiB"))]), &metrics, None);

    let headers = full_headers();
    for tries in 0..LINES {
        log.write(&Entry { tries: tries as u32, ..full(&headers, "refused") });
    }
    assert!(!log.0.writer.flush(Duration::from_millis(50)), "the pipe cannot have taken it all");
    assert!(dropped(&metrics) > 0);

    let reader = fs::File::open(&pipe).expect("a pipe");
    drop(log);
    let mut last = None;
    let mut read = 0;
    for line in BufReader::new(reader).lines() {
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("a whole line");
        let tries = line["tries"].as_u64();
        assert!(tries > last, "{tries:?} after {last:?}");
        last = tries;
        read += 1;
    }
    assert_eq!(read + dropped(&metrics), LINES, "every line is read or counted");
}

#[test]
fn a_full_disk_costs_lines_and_never_a_request() {
    let metrics = Metrics::new();
    let log = opened(&section(file(Path::new("/dev/full")), vec![]), &metrics, None);
    for _ in 0..10 {
        log.write(&plain(&HeaderMap::new()));
    }
    assert!(log.0.writer.flush(SOON));
    assert_eq!(dropped(&metrics), 10);
}

#[test]
fn a_log_that_was_moved_away_is_opened_anew() {
    let scene = Scene::new(vec![]);
    let moved = scene.folder.path().join("a.log.1");
    scene.log.write(&plain(&HeaderMap::new()));
    assert_eq!(scene.text().lines().count(), 1);
    fs::rename(scene.path(), &moved).expect("moved");
    scene.log.reopen();
    scene.log.write(&plain(&HeaderMap::new()));
    scene.log.write(&plain(&HeaderMap::new()));
    assert_eq!(scene.text().lines().count(), 2);
    assert_eq!(fs::read_to_string(&moved).expect("text").lines().count(), 1);
}

#[test]
fn a_log_that_cannot_be_reopened_goes_on() {
    let scene = Scene::new(vec![]);
    let before = scene.folder.path().with_extension("moved");
    fs::rename(scene.folder.path(), &before).expect("moved");
    scene.log.reopen();
    scene.log.write(&plain(&HeaderMap::new()));
    assert!(scene.log.0.writer.flush(SOON));
    assert_eq!(fs::read_to_string(before.join("a.log")).expect("text").lines().count(), 1);
    fs::rename(&before, scene.folder.path()).expect("moved back");
}

#[test]
fn a_reload_goes_on_with_the_file_that_is_open() {
    let scene = Scene::new(vec![]);
    let text = section(file(&scene.path()), vec![("format", Yaml::from("text"))]);
    let after = opened(&text, &scene.metrics, Some(&scene.log));
    let writer = |log: &AccessLog| Arc::as_ptr(&log.0.writer);
    assert_eq!(writer(&after), writer(&scene.log));

    let other = section(file(&scene.folder.path().join("b.log")), vec![]);
    let other = opened(&other, &scene.metrics, Some(&after));
    assert_ne!(writer(&other), writer(&after));

    scene.log.write(&plain(&HeaderMap::new()));
    after.write(&plain(&HeaderMap::new()));
    let lines = scene.text();
    assert!(lines.starts_with('{') && lines.contains("\ntime="), "{lines}");
}

#[test]
fn the_last_log_dropped_writes_what_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let log = opened(&section(file(&pipe), vec![]), &Metrics::new(), None);
    let mut reader = fs::File::open(&pipe).expect("a pipe");
    log.clone().write(&plain(&HeaderMap::new()));
    drop(log);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the thread has let go of the pipe");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn off_is_no_log() {
    assert!(AccessLog::open(&AccessLogConfig::Off, &Metrics::new(), None).expect("valid").is_none());
}

#[test]
fn every_fault_of_the_section_is_found() {
    let more = vec![
        ("headers", vec![Yaml::from("x-ok"), Yaml::from("not ok")].into()),
        ("redact", vec![Yaml::from("")].into()),
    ];
    let errors = AccessLog::open(&section(file(Path::new("/nowhere/a.log")), more), &Metrics::new(), None);
    let errors = errors.expect_err("refused");
    let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(paths, ["redact[0]", "headers[1]", "to.file"]);
    assert!(errors.to_string().contains("to.file: cannot open /nowhere/a.log: "), "{errors}");
    let buffer = section(Yaml::from("stdout"), vec![("buffer", Yaml::from("1KiB"))]);
    assert!(AccessLog::open(&buffer, &Metrics::new(), None).is_err());
}

#[test]
fn a_file_is_not_for_everyone_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new(vec![]);
    let mode = fs::metadata(scene.path()).expect("there").permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}
