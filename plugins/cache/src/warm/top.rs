//! The URLs that were asked for most, noted in a file for the next run.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::{Clock, Stop};

use super::{MOST, is_url};
use crate::config::TopConfig;

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct Top {
    file: PathBuf,
    count: usize,
}

/// How often it is written. It is written at the end, too.
const EVERY: Duration = Duration::from_secs(300);

/// Longest file that is read.
const LONGEST: u64 = 16 << 20;

impl Top {
    pub(super) fn new(config: TopConfig) -> Self {
        Self { file: config.file, count: usize::from(config.count.get()) }
    }

    /// How many are noted.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What was noted. A file that isn't there yet is empty.
    pub(super) fn read(&self) -> Vec<String> {
        let mut text = String::new();
        let read = File::open(&self.file).and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!(file:% = self.file.display(), error:%; "the most wanted URLs can't be read");
            }
            _ => {}
        }
        text.lines().filter(|line| is_url(line)).take(self.count.min(MOST)).map(str::to_owned).collect()
    }

    /// Notes these, whole or not at all.
    pub(super) fn write(&self, urls: &[String]) -> io::Result<()> {
        let beside = self.file.with_extension("new");
        let mut file = File::create(&beside)?;
        for url in urls.iter().take(self.count) {
            writeln!(file, "{url}")?;
        }
        file.sync_data()?;
        std::fs::rename(&beside, &self.file)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }
}

/// Notes what is asked for most, now and then, until it is told to stop.
pub(crate) async fn keep(
    top: Top,
    most: Arc<dyn Fn(usize) -> Vec<String> + Send + Sync>,
    clock: Clock,
    mut stop: Stop,
) {
    loop {
        tokio::select! {
            () = clock.sleep(EVERY) => {}
            () = stop.stopped() => {}
        }
        let ended = stop.is_stopped();
        let (top, most) = (top.clone(), most.clone());
        let noted = tokio::task::spawn_blocking(move || {
            let urls = most(top.count());
            // Nothing was asked for yet: what the last run noted is worth more.
            if urls.is_empty() { Ok(()) } else { top.write(&urls).map_err(|error| (top, error)) }
        });
        if let Ok(Err((top, error))) = noted.await {
            log::warn!(file:% = top.path().display(), error:%; "the most wanted URLs can't be noted");
        }
        if ended {
            return;
        }
    }
}
