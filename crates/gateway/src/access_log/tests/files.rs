//! Where lines end up, and what happens when they can't.

use super::*;
use std::io::{BufRead, BufReader, Read};
use std::thread;

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
    // More than a pipe takes: even lines that the thread finds all at once don't go through.
    let log = opened(&section(file(&pipe), vec![("buffer", Yaml::from("256KiB"))]), &metrics, None);

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
