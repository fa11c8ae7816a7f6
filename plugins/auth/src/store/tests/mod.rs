//! Proof. What every store does is one suite, run against a file, a Redis server, a Redis Cluster, and the store in
//! memory that other tests use.

mod choice;
mod counts;
mod revocations;
pub(crate) mod sample;
mod sessions;
mod sweep;
mod users;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tidegate_core::Clock;

use super::file::{FileStore, OpenFile};
use super::redis::RedisStore;
use super::{Store, StoreError};
use crate::id::{Id, Millis};

/// Any store.
type Any = Arc<dyn Store>;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Each story against each store.
macro_rules! on_every_store {
    ($($area:ident: $($story:ident),+;)+) => {
        mod on_a_file {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let folder = super::folder();
                super::$area::$story(super::a_file(&folder)).await;
            })+)+
        }
        mod on_redis {
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                let server = tidegate_testkit::redis().await;
                super::$area::$story(super::a_redis(server.store(super::TIMEOUT), "auth")).await;
            })+)+
        }
        mod in_memory {
            $($(#[tokio::test]
            async fn $story() {
                super::$area::$story(crate::store::fake::FakeStore::new()).await;
            })+)+
        }
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn everything_on_a_cluster() {
            let cluster = tidegate_testkit::redis_cluster().await;
            let redis = cluster.store(TIMEOUT);
            $($($area::$story(a_redis(redis.clone(), stringify!($story))).await;)+)+
        }
    };
}

on_every_store! {
    users: a_user_is_found_by_id_and_by_name, one_of_many_gets_a_name, one_of_many_changes_wins,
        a_user_is_renamed_and_the_old_name_is_free, one_of_many_is_renamed, back_and_forth;
    sessions: a_refresh_token_is_good_once, the_grace_ends_to_the_millisecond, a_session_ends_to_the_millisecond,
        generations_that_never_were, a_thousand_at_once_are_one_rotation, a_thousand_steps, a_session_is_used,
        sessions_are_listed, the_oldest_give_way, sessions_that_are_over_count_for_nothing, a_session_is_ended,
        nobody_ends_the_session_of_another, all_sessions_are_ended_but_one, a_new_password_ends_all_sessions_but_one_in_one;
    revocations: what_is_revoked_is_refused_until_it_is_forgotten, a_subject_is_refused_up_to_a_time,
        a_second_revocation_only_adds, revocations_are_told_in_order, more_than_a_page, nothing_is_missed_by_a_reader;
    counts: counters_count_in_windows, looking_counts_nothing, counters_are_forgotten, many_count_at_once,
        values_are_put_until_a_time, one_of_many_is_first, large_values_are_refused, keys_are_swapped_by_version,
        one_of_many_swaps_keys;
}

/// In memory where there is a place for it: a thousand writes to a disk, one after the other, are a long time.
pub(super) fn folder() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder")
}

fn a_file(folder: &TempDir) -> Any {
    Arc::new(file_store(folder))
}

fn file_store(folder: &TempDir) -> FileStore {
    FileStore::new(open_file(folder), 1_000_000, TIMEOUT, late())
}

/// A clock that is ahead of whatever a test says the time is: what that says is over, is.
pub(super) fn late() -> Clock {
    Clock::new(tidegate_testkit::ManualClock::at(SystemTime::now() + secs(100 * 365 * 86_400)))
}

pub(super) fn open_file(folder: &TempDir) -> Arc<OpenFile> {
    Arc::new(OpenFile::open(&folder.path().join("auth.redb")).expect("a file"))
}

fn a_redis(redis: tidegate_core::Redis, prefix: &str) -> Any {
    Arc::new(RedisStore::new(redis, prefix, TIMEOUT, Clock::system()))
}

pub(super) fn now() -> Millis {
    Millis::of(SystemTime::now())
}

pub(super) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Does it so many times at once; what came of each.
pub(super) async fn at_once<T, Fut>(times: usize, work: impl Fn(usize) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let running: Vec<_> = (0..times).map(|turn| tokio::spawn(work(turn))).collect();
    let mut done = Vec::with_capacity(times);
    for one in running {
        done.push(one.await.expect("no panic").expect("an answer"));
    }
    done
}

/// How many of these are true.
pub(super) fn count(all: &[bool]) -> usize {
    all.iter().filter(|one| **one).count()
}

/// Some of a store, so that a copy can be compared with it.
pub(super) fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number}-{}", Id::random().text())).collect()
}
