//! A file with a list of targets, read again when it changes.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tidegate_core::Clock;
use tokio::io::AsyncReadExt as _;

use super::watch::Watch;
use super::{Source, SourceError, list};
use crate::config::{Discovery, TargetConfig};
use crate::pool::Pool;

/// How long the file must stay as it is before it counts as changed: some editors write in several steps.
const SETTLE: Duration = Duration::from_millis(50);
/// One that never settles is a change, too.
const MOST_LOOKS: usize = 40;
/// How often to look without having been woken, for file systems that report nothing.
const LOOK: Duration = Duration::from_secs(5);
/// The same where there are no events at all.
const LOOK_WITHOUT_EVENTS: Duration = Duration::from_secs(1);

/// What the file holds, or why that is unknown.
type Content = Result<Vec<u8>, String>;

pub(super) struct File {
    name: String,
    path: PathBuf,
    clock: Clock,
    /// From the first question on.
    watch: Option<Watch>,
    /// What was last spoken of.
    seen: Option<Content>,
}

impl File {
    pub(super) fn new(config: &Discovery, pool: &Pool) -> Self {
        let path = config.path.clone().unwrap_or_default();
        Self { name: super::name(config), path, clock: pool.clock.clone(), watch: None, seen: None }
    }

    /// Waits until the file holds something else.
    async fn changed(&mut self) -> Content {
        loop {
            let fresh = self.look().await;
            if self.seen.as_ref() != Some(&fresh) {
                let settled = self.settle(fresh).await;
                if self.seen.as_ref() != Some(&settled) {
                    return settled;
                }
            }
            self.wait().await;
        }
    }

    async fn wait(&mut self) {
        // First the events, then the look: a change between the two is seen twice rather than never.
        let Some(watch) = &mut self.watch else { return };
        watch.follow_links();
        let patience = if watch.has_events() { LOOK } else { LOOK_WITHOUT_EVENTS };
        tokio::select! {
            // In a folder where much is written, not each event is worth a look.
            () = async { watch.woken().await; tokio::time::sleep(SETTLE).await } , if watch.has_events() => {}
            () = self.clock.sleep(patience) => {}
        }
    }

    async fn settle(&self, mut content: Content) -> Content {
        if self.seen.is_none() {
            // At the start nobody is writing, as far as one knows, and somebody waits.
            return content;
        }
        for _ in 0..MOST_LOOKS {
            tokio::time::sleep(SETTLE).await;
            let fresh = self.look().await;
            if fresh == content {
                break;
            }
            content = fresh;
        }
        content
    }

    async fn look(&self) -> Content {
        let file = tokio::fs::File::open(&self.path).await.map_err(|error| error.to_string())?;
        let mut content = Vec::new();
        // One byte more than there may be, to be refused.
        let read = file.take(list::MOST_BYTES as u64 + 1).read_to_end(&mut content).await;
        read.map(|_| content).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Source for File {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    async fn next(&mut self) -> Result<Vec<TargetConfig>, SourceError> {
        if self.watch.is_none() {
            self.watch = Some(Watch::new(&self.path));
        }
        let content = self.changed().await;
        self.seen = Some(content.clone());
        list::read(content.map_err(SourceError::new)?).await
    }

    /// What is wrong with a file is mended by changing it, which is what the next question waits for.
    fn retry_after(&self, _failures: u32) -> Duration {
        Duration::ZERO
    }
}
