//! Revocations: refused as long as they say, and told to everybody who asks what is new.

use std::collections::HashSet;

use super::{Any, millis, now, secs};
use crate::id::{Id, Millis};
use crate::store::{Cursor, Revocation, Revoked};

fn token(until: Millis) -> Revocation {
    Revocation { what: Revoked::Token(Id::random()), before: u64::MAX, until }
}

async fn is_revoked(store: &Any, what: Revoked, issued: u64, now: Millis) -> bool {
    store.is_revoked(&[what], issued, now).await.expect("an answer")
}

/// All that came after `since`.
async fn told(store: &Any, since: Cursor, now: Millis) -> (Vec<Revocation>, Cursor) {
    let (mut all, mut cursor) = (Vec::new(), since);
    loop {
        let (some, next) = store.revoked(cursor, now).await.expect("an answer");
        cursor = next;
        if some.is_empty() {
            return (all, cursor);
        }
        assert!(some.len() <= 4096);
        all.extend(some);
    }
}

pub(super) async fn what_is_revoked_is_refused_until_it_is_forgotten(store: Any) {
    let t = now();
    let one = token(t.plus(secs(900)));
    assert!(!is_revoked(&store, one.what, 0, t).await);
    store.revoke(&[one], t).await.expect("an answer");
    assert!(is_revoked(&store, one.what, t.seconds(), t).await);
    assert!(is_revoked(&store, one.what, t.seconds() + 1_000_000, t).await, "whenever it was issued");
    let others = [Revoked::Token(Id::random()), Revoked::Session(one.what.id()), Revoked::Subject(one.what.id())];
    assert!(!store.is_revoked(&others, 0, t).await.expect("an answer"), "the same id of something else");
    let among = [others[0], one.what, others[1]];
    assert!(store.is_revoked(&among, 0, t).await.expect("an answer"));
    assert!(!store.is_revoked(&[], 0, t).await.expect("an answer"));
    assert!(is_revoked(&store, one.what, 0, Millis(one.until.0 - 1)).await);
    assert!(!is_revoked(&store, one.what, 0, one.until).await);
    assert_eq!(told(&store, Cursor(0), one.until).await.0, []);
}

pub(super) async fn a_subject_is_refused_up_to_a_time(store: Any) {
    let t = now();
    let subject = Revocation { what: Revoked::Subject(Id::random()), before: t.seconds(), until: t.plus(secs(900)) };
    store.revoke(&[subject], t).await.expect("an answer");
    assert!(is_revoked(&store, subject.what, t.seconds() - 1, t).await);
    assert!(!is_revoked(&store, subject.what, t.seconds(), t).await, "a login after it is good");
}

pub(super) async fn a_second_revocation_only_adds(store: Any) {
    let t = now();
    let what = Revoked::Subject(Id::random());
    let first = Revocation { what, before: t.seconds(), until: t.plus(secs(900)) };
    let second = Revocation { what, before: t.seconds() - 50, until: t.plus(secs(1800)) };
    store.revoke(&[first], t).await.expect("an answer");
    let (_, cursor) = told(&store, Cursor(0), t).await;
    store.revoke(&[second], t).await.expect("an answer");
    // The later end, and all that the first refused.
    assert!(is_revoked(&store, what, t.seconds() - 1, t.plus(secs(1000))).await);
    let covers = |all: &[Revocation]| all.iter().any(|one| one.before == first.before && one.until >= first.until);
    let longer = |all: &[Revocation]| all.iter().any(|one| one.until == second.until);
    let (new, _) = told(&store, cursor, t).await;
    assert!(longer(&new), "who knows the first is told: {new:?}");
    let (all, _) = told(&store, Cursor(0), t).await;
    assert!(covers(&all) && longer(&all), "who knows nothing is told of both: {all:?}");
    store.revoke(&[first, second], t).await.expect("an answer");
    assert!(is_revoked(&store, what, t.seconds() - 1, t.plus(secs(1000))).await);
}

pub(super) async fn revocations_are_told_in_order(store: Any) {
    let t = now();
    assert_eq!(told(&store, Cursor(0), t).await.0, []);
    let all: Vec<_> = (0..10).map(|turn| token(t.plus(secs(900 + turn)))).collect();
    store.revoke(&all[..3], t).await.expect("an answer");
    let (first, cursor) = told(&store, Cursor(0), t).await;
    assert_eq!(first, all[..3]);
    assert_eq!(told(&store, cursor, t).await, (Vec::new(), cursor));
    store.revoke(&all[3..4], t).await.expect("an answer");
    store.revoke(&all[4..], t).await.expect("an answer");
    assert_eq!(told(&store, cursor, t).await.0, all[3..]);
    assert_eq!(told(&store, Cursor(0), t).await.0, all);
    // Those that are over are nobody's business any more.
    assert_eq!(told(&store, Cursor(0), t.plus(secs(904))).await.0, all[5..]);
    store.revoke(&[], t).await.expect("an answer");
}

pub(super) async fn more_than_a_page(store: Any) {
    let t = now();
    // Over by the time that is asked with; by a server's own clock nothing is, however long the test takes.
    let (over, live) = (t.plus(secs(600)), t.plus(secs(900)));
    let mut all = Vec::new();
    for (many, until) in [(1500, live), (4500, over), (4200, live)] {
        all.extend((0..many).map(|_| token(until)));
    }
    for some in all.chunks(700) {
        store.revoke(some, t).await.expect("an answer");
    }
    assert_eq!(told(&store, Cursor(0), t).await.0, all);
    // A whole page of what is over doesn't look like the end.
    let left: Vec<_> = all.iter().copied().filter(|one| one.until == live).collect();
    assert_eq!(told(&store, Cursor(0), over).await.0, left);
}

/// Many write while one reads: whatever was acknowledged is told to the reader, whose cursor only goes forward.
pub(super) async fn nothing_is_missed_by_a_reader(store: Any) {
    let t = now();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut written = Vec::new();
                for _ in 0..40 {
                    let one = token(t.plus(secs(900)));
                    store.revoke(&[one], t).await.expect("an answer");
                    written.push(one.what);
                }
                written
            })
        })
        .collect();
    let (mut heard, mut cursor) = (HashSet::new(), Cursor(0));
    let mut written = HashSet::new();
    for writer in writers {
        while !writer.is_finished() {
            let (some, next) = store.revoked(cursor, t).await.expect("an answer");
            assert!(next >= cursor);
            cursor = next;
            heard.extend(some.into_iter().map(|one| one.what));
            tokio::time::sleep(millis(1)).await;
        }
        written.extend(writer.await.expect("no panic"));
    }
    heard.extend(told(&store, cursor, t).await.0.into_iter().map(|one| one.what));
    assert_eq!(written.len(), 320);
    assert_eq!(heard, written);
}
