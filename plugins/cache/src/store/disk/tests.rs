//! Stories of one folder.

mod damage;
mod faults;
mod storing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_core::config::{ByteSize, Duration as Wait, Secret};
use tidegate_core::{Bytes, Clock, HeaderValue, Metrics};

use super::*;
use crate::config::{DiskConfig, EncryptionConfig};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const OTHER_KEY: &str = "0202020202020202020202020202020202020202020202020202020202020202";

/// A zone whose disk may be 64 MiB.
struct Zone {
    config: DiskConfig,
    _temp: TempDir,
}

impl Zone {
    fn plain() -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        let (path, size, timeout) = (temp.path().join("zone"), ByteSize::mib(64), Wait::from_secs(60));
        let config = DiskConfig { path, size, encryption: None, timeout, threads: 2 };
        Self { config, _temp: temp }
    }

    fn sealed() -> Self {
        let mut zone = Self::plain();
        zone.encrypt(KEY, &[]);
        zone
    }

    fn encrypt(&mut self, key: &str, old: &[&str]) {
        let old_keys = old.iter().map(|key| Secret::new(*key)).collect();
        self.config.encryption = Some(EncryptionConfig { key: Secret::new(key), old_keys });
    }

    fn path(&self) -> &Path {
        &self.config.path
    }

    /// Opens it; what it holds may not be listed yet.
    fn open_at_once(&self) -> Arc<Disk> {
        Disk::open("main", &self.config, &Clock::system(), &Metrics::new()).expect("a disk")
    }

    async fn open(&self) -> Arc<Disk> {
        let disk = self.open_at_once();
        until("the folder is listed", || disk.place.is_scanned()).await;
        disk
    }

    /// As after a restart: nothing is left of `disk` but its folder.
    async fn open_again(&self, disk: Arc<Disk>) -> Arc<Disk> {
        let place = Arc::downgrade(&disk.place);
        drop(disk);
        until("the folder is free", || place.strong_count() == 0).await;
        self.open().await
    }

    fn files(&self) -> Vec<PathBuf> {
        files(&self.path().join("objects"))
    }

    fn leftovers(&self) -> Vec<PathBuf> {
        files(&self.path().join("tmp"))
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let each = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(|entry| each(entry.expect("an entry").path())).collect()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain: {what}");
}

fn slot(number: u8) -> Slot {
    Slot { key: [number; 16], variant: None }
}

fn key(number: u8) -> Vec<u8> {
    format!("the key of {number}").into_bytes()
}

fn a_head() -> Head {
    head::tests::a_head()
}

/// With a length.
fn a_head_of(length: usize) -> Head {
    let mut head = a_head();
    head.headers.insert("content-length", HeaderValue::from(length));
    head
}

/// Other bytes at every place.
fn a_body(length: usize) -> Bytes {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect::<Vec<_>>().into()
}

async fn store(disk: &Arc<Disk>, number: u8, body: &[u8]) {
    store_with(disk, number, &a_head(), body).await;
}

async fn store_with(disk: &Arc<Disk>, number: u8, head: &Head, body: &[u8]) {
    let mut write = disk.begin(&slot(number), &key(number), head);
    for piece in body.chunks(10_000) {
        write.write(Bytes::copy_from_slice(piece)).await;
    }
    assert_eq!(write.finish().await.expect("stored"), body.len() as u64);
}

async fn find(disk: &Arc<Disk>, number: u8) -> Option<DiskHit> {
    disk.find(&slot(number), &key(number)).await
}

/// The whole body, as a client would get it.
async fn read_all(hit: &mut DiskHit) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let piece = hit.read(all.len() as u64, 20_000).await?;
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&piece);
    }
}

async fn body_of(disk: &Arc<Disk>, number: u8) -> Option<Vec<u8>> {
    let mut hit = find(disk, number).await?;
    let body = read_all(&mut hit).await.expect("a body");
    assert_eq!(body.len() as u64, hit.len());
    Some(body)
}

/// A head as a 304 makes it.
fn renewed(turn: u32) -> Head {
    let mut head = a_head();
    head.asked += Duration::from_secs(u64::from(turn));
    head.headers.insert("x-turn", HeaderValue::from(turn));
    head
}
