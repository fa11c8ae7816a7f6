//! Sessions, and the rotation of refresh tokens.

use std::time::Duration;

use super::sample::a_session;
use super::{Any, at_once, millis, now, secs};
use crate::id::{Id, Millis};
use crate::store::{Cursor, Revocation, Revoked, Rotate, Rotated, Session, User};

const GRACE: Duration = Duration::from_secs(10);
const TTL: Duration = Duration::from_secs(3600);

fn present(session: &Session, presented: u32, now: Millis) -> Rotate {
    Rotate { session: session.id, presented, now, grace: GRACE, ttl: TTL }
}

async fn opened(store: &Any, now: Millis) -> Session {
    let session = a_session(Id::random(), now);
    assert_eq!(store.open_session(&session, 10).await.expect("an answer"), []);
    session
}

async fn rotated(store: &Any, rotate: Rotate) -> Rotated {
    store.rotate(&rotate).await.expect("an answer")
}

pub(super) async fn a_refresh_token_is_good_once(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let later = t.plus(secs(60));
    let next = Session { generation: 2, rotated: later, used: later, until: later.plus(TTL), ..session.clone() };
    assert_eq!(rotated(&store, present(&session, 1, later)).await, Rotated::Next(next.clone()));
    assert_eq!(store.session(session.id, later).await.expect("an answer"), Some(next.clone()));
    // Two tabs are no thief.
    let again = later.plus(secs(1));
    assert_eq!(rotated(&store, present(&session, 1, again)).await, Rotated::Again(next.clone()));
    assert_eq!(store.session(session.id, later).await.expect("an answer"), Some(next.clone()), "nothing is changed");
    let third = Session { generation: 3, rotated: again, used: again, until: again.plus(TTL), ..next };
    assert_eq!(rotated(&store, present(&session, 2, again)).await, Rotated::Next(third.clone()));
    assert_eq!(rotated(&store, present(&session, 1, again)).await, Rotated::Reused(third.clone()), "two behind");
    let after = again.plus(GRACE);
    assert_eq!(rotated(&store, present(&session, 2, after)).await, Rotated::Reused(third.clone()));
    assert_eq!(store.session(session.id, later).await.expect("an answer"), Some(third), "nothing is changed");
}

pub(super) async fn the_grace_ends_to_the_millisecond(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let Rotated::Next(next) = rotated(&store, present(&session, 1, t)).await else { panic!("the first time") };
    let last = t.plus(GRACE - millis(1));
    assert_eq!(rotated(&store, present(&session, 1, last)).await, Rotated::Again(next.clone()));
    assert_eq!(rotated(&store, present(&session, 1, t.plus(GRACE))).await, Rotated::Reused(next.clone()));
    // Another gateway's clock may be behind.
    assert_eq!(rotated(&store, present(&session, 1, Millis(t.0 - 500))).await, Rotated::Again(next.clone()));
    let none = Rotate { grace: Duration::ZERO, ..present(&session, 1, t) };
    assert_eq!(rotated(&store, none).await, Rotated::Reused(next));
}

pub(super) async fn a_session_ends_to_the_millisecond(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let last = Millis(session.until.0 - 1);
    assert!(store.session(session.id, last).await.expect("an answer").is_some());
    assert_eq!(store.session(session.id, session.until).await.expect("an answer"), None);
    assert_eq!(rotated(&store, present(&session, 1, session.until)).await, Rotated::Gone);
    let Rotated::Next(next) = rotated(&store, present(&session, 1, last)).await else { panic!("it is good") };
    assert_eq!(next.until, last.plus(TTL));
    // However often it is refreshed, it lasts no longer than it may.
    let long = Rotate { ttl: secs(86_400 * 60), ..present(&session, 2, last) };
    let Rotated::Next(next) = rotated(&store, long).await else { panic!("it is good") };
    assert_eq!(next.until, session.ends);
    let last = Millis(session.ends.0 - 1);
    assert!(matches!(rotated(&store, present(&session, 3, last)).await, Rotated::Next(_)));
    assert_eq!(rotated(&store, present(&session, 4, session.ends)).await, Rotated::Gone);
    assert_eq!(store.touch(session.id, session.ends, session.ends.plus(TTL)).await.expect("an answer"), None);
}

pub(super) async fn generations_that_never_were(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    for presented in [0, 2, 3, u32::MAX] {
        assert_eq!(rotated(&store, present(&session, presented, t)).await, Rotated::Gone, "{presented}");
    }
    assert_eq!(rotated(&store, present(&a_session(session.user, t), 1, t)).await, Rotated::Gone);
    let cookie = Session { generation: 0, ..a_session(session.user, t) };
    store.open_session(&cookie, 10).await.expect("an answer");
    assert_eq!(rotated(&store, present(&cookie, 0, t)).await, Rotated::Gone);
    let last = Session { generation: u32::MAX, ..a_session(session.user, t) };
    store.open_session(&last, 10).await.expect("an answer");
    assert_eq!(rotated(&store, present(&last, u32::MAX, t)).await, Rotated::Gone);
}

pub(super) async fn a_thousand_at_once_are_one_rotation(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let all = at_once(1000, |turn| {
        let (store, rotate) = (store.clone(), present(&session, 1, t.plus(millis(turn as u64 % 50))));
        async move { store.rotate(&rotate).await }
    });
    let (mut next, mut again) = (0, 0);
    for rotated in all.await {
        match rotated {
            Rotated::Next(session) => (next += 1, assert_eq!(session.generation, 2)).0,
            Rotated::Again(session) => (again += 1, assert_eq!(session.generation, 2)).0,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((next, again), (1, 999));
}

pub(super) async fn a_thousand_steps(store: Any) {
    let mut t = now();
    let session = opened(&store, t).await;
    for generation in 1..=1000 {
        t = t.plus(GRACE);
        let Rotated::Next(next) = rotated(&store, present(&session, generation, t)).await else {
            panic!("{generation}")
        };
        assert_eq!(next.generation, generation + 1);
        if generation % 100 == 0 {
            assert!(matches!(rotated(&store, present(&session, generation / 2, t)).await, Rotated::Reused(_)));
        }
    }
    for old in [1, 2, 500, 999] {
        assert!(matches!(rotated(&store, present(&session, old, t)).await, Rotated::Reused(_)), "{old}");
    }
    assert!(matches!(rotated(&store, present(&session, 1001, t)).await, Rotated::Next(_)), "the newest works");
}

pub(super) async fn a_session_is_used(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let (later, until) = (t.plus(secs(5)), t.plus(secs(1800)));
    let used = Session { used: later, until, ..session.clone() };
    assert_eq!(store.touch(session.id, later, until).await.expect("an answer"), Some(used.clone()));
    assert_eq!(store.session(session.id, later).await.expect("an answer"), Some(used));
    let longest = store.touch(session.id, later, session.ends.plus(TTL)).await.expect("an answer");
    assert_eq!(longest.expect("a session").until, session.ends);
    assert_eq!(store.touch(Id::random(), later, until).await.expect("an answer"), None);
}

pub(super) async fn sessions_are_listed(store: Any) {
    let (t, user) = (now(), Id::random());
    let mut all: Vec<_> = (0..5).map(|turn| a_session(user, t.plus(millis(turn)))).collect();
    for session in &all {
        assert_eq!(store.open_session(session, 10).await.expect("an answer"), []);
    }
    store.open_session(&a_session(Id::random(), t), 10).await.expect("an answer");
    all.reverse();
    assert_eq!(store.sessions(user, t).await.expect("an answer"), all);
    let ended = all.remove(2);
    store.end_session(user, ended.id, &[]).await.expect("an answer");
    store.touch(all[1].id, t, t.plus(secs(1))).await.expect("an answer");
    let over = all.remove(1);
    assert_eq!(store.sessions(user, t.plus(secs(1))).await.expect("an answer"), all);
    assert_eq!(store.session(over.id, t.plus(secs(1))).await.expect("an answer"), None);
    assert_eq!(store.sessions(Id::random(), t).await.expect("an answer"), []);
}

pub(super) async fn the_oldest_give_way(store: Any) {
    let (t, user) = (now(), Id::random());
    let all: Vec<_> = (0..6).map(|turn| a_session(user, t.plus(millis(turn)))).collect();
    for (place, session) in all.iter().enumerate() {
        let ended = store.open_session(session, 3).await.expect("an answer");
        let oldest: Vec<_> = place.checked_sub(3).map(|oldest| all[oldest].id).into_iter().collect();
        assert_eq!(ended, oldest, "{place}");
    }
    let left: Vec<_> = store.sessions(user, t).await.expect("an answer").into_iter().map(|left| left.id).collect();
    assert_eq!(left, [all[5].id, all[4].id, all[3].id]);
    assert_eq!(rotated(&store, present(&all[0], 1, t)).await, Rotated::Gone);
    let one = a_session(user, t.plus(secs(1)));
    assert_eq!(store.open_session(&one, 1).await.expect("an answer"), [all[3].id, all[4].id, all[5].id]);
    let none = a_session(user, t.plus(secs(2)));
    assert_eq!(store.open_session(&none, 0).await.expect("an answer"), [one.id], "the new one stays in any case");
}

pub(super) async fn sessions_that_are_over_count_for_nothing(store: Any) {
    let (t, user) = (now(), Id::random());
    let all: Vec<_> = (0..3).map(|turn| a_session(user, t.plus(millis(turn)))).collect();
    for session in &all {
        store.open_session(session, 3).await.expect("an answer");
    }
    store.touch(all[0].id, t, t.plus(secs(1))).await.expect("an answer");
    let later = a_session(user, t.plus(secs(2)));
    assert_eq!(store.open_session(&later, 3).await.expect("an answer"), [], "the first was over");
    assert_eq!(store.sessions(user, t.plus(secs(2))).await.expect("an answer").len(), 3);
}

pub(super) async fn a_session_is_ended(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let revoke = [
        Revocation { what: Revoked::Token(Id::random()), before: u64::MAX, until: t.plus(secs(900)) },
        Revocation { what: Revoked::Session(session.id), before: u64::MAX, until: t.plus(secs(900)) },
    ];
    assert!(store.end_session(session.user, session.id, &revoke).await.expect("an answer"));
    assert_eq!(rotated(&store, present(&session, 1, t)).await, Rotated::Gone);
    assert_eq!(store.session(session.id, t).await.expect("an answer"), None);
    assert_eq!(store.touch(session.id, t, t.plus(TTL)).await.expect("an answer"), None);
    assert_eq!(store.sessions(session.user, t).await.expect("an answer"), []);
    for revocation in revoke {
        assert!(store.is_revoked(&[revocation.what], t.seconds(), t).await.expect("an answer"));
    }
    assert_eq!(store.revoked(Cursor(0), t).await.expect("an answer").0, revoke);
    assert!(!store.end_session(session.user, session.id, &revoke).await.expect("an answer"), "it is over");
}

pub(super) async fn nobody_ends_the_session_of_another(store: Any) {
    let t = now();
    let session = opened(&store, t).await;
    let revoke = [Revocation { what: Revoked::Session(session.id), before: u64::MAX, until: t.plus(secs(900)) }];
    assert!(!store.end_session(Id::random(), session.id, &revoke).await.expect("an answer"));
    assert!(!store.end_session(session.user, Id::random(), &revoke).await.expect("an answer"));
    assert_eq!(store.session(session.id, t).await.expect("an answer"), Some(session.clone()));
    assert!(!store.is_revoked(&[revoke[0].what], 0, t).await.expect("an answer"));
    assert_eq!(store.end_sessions(Id::random(), None, &[]).await.expect("an answer"), 0);
    assert_eq!(store.session(session.id, t).await.expect("an answer"), Some(session));
}

pub(super) async fn all_sessions_are_ended_but_one(store: Any) {
    let (t, user) = (now(), Id::random());
    let all: Vec<_> = (0..4).map(|turn| a_session(user, t.plus(millis(turn)))).collect();
    for session in &all {
        store.open_session(session, 10).await.expect("an answer");
    }
    let what = Revoked::Subject(Id::random());
    let revoke = [Revocation { what, before: t.seconds(), until: t.plus(secs(900)) }];
    assert_eq!(store.end_sessions(user, Some(all[2].id), &revoke).await.expect("an answer"), 3);
    assert_eq!(store.sessions(user, t).await.expect("an answer"), [all[2].clone()]);
    assert_eq!(rotated(&store, present(&all[3], 1, t)).await, Rotated::Gone);
    assert!(matches!(rotated(&store, present(&all[2], 1, t)).await, Rotated::Next(_)));
    assert!(store.is_revoked(&[what], t.seconds() - 1, t).await.expect("an answer"));
    assert_eq!(store.end_sessions(user, None, &[]).await.expect("an answer"), 1);
    let other = Revoked::Subject(Id::random());
    let revoke = [Revocation { what: other, before: u64::MAX, until: t.plus(secs(900)) }];
    assert_eq!(store.end_sessions(user, None, &revoke).await.expect("an answer"), 0);
    assert!(store.is_revoked(&[other], 0, t).await.expect("an answer"), "what is revoked is so without sessions");
}

pub(super) async fn a_new_password_ends_all_sessions_but_one_in_one(store: Any) {
    let (t, user) = (now(), User { kept: None, ..super::sample::a_user("ada") });
    assert!(store.create_user(&user).await.expect("an answer"));
    let all: Vec<_> = (0..3).map(|turn| a_session(user.id, t.plus(millis(turn)))).collect();
    for session in &all {
        store.open_session(session, 10).await.expect("an answer");
    }
    let other = opened(&store, t).await;
    let until = t.plus(secs(900));
    let changed =
        User { hash: "$2b$12$".to_owned(), changed: t.plus(millis(10)), kept: Some(all[1].id), ..user.clone() };
    let mut revoked = store.change_password(&changed, until).await.expect("an answer").expect("a change");
    revoked.sort_by_key(|revocation| revocation.what);
    let mut expected = [&all[0], &all[2]].map(|one| Revocation::of_session(one.id, until)).to_vec();
    expected.sort_by_key(|revocation| revocation.what);
    assert_eq!(revoked, expected);
    for session in &all {
        let ended = session.id != all[1].id;
        assert_eq!(store.session(session.id, t).await.expect("an answer").is_none(), ended);
        let what = Revoked::Session(session.id);
        assert_eq!(store.is_revoked(&[what], t.seconds(), t).await.expect("an answer"), ended);
        assert_eq!(changed.has_ended(session), ended);
    }
    let now = store.user(user.id).await.expect("an answer").expect("a user");
    assert_eq!(now, User { version: user.version + 1, ..changed.clone() });
    // Of two changes at once one is made; the other ends nobody's session.
    assert_eq!(store.change_password(&changed, until).await.expect("an answer"), None);
    assert!(store.session(all[1].id, t).await.expect("an answer").is_some());
    assert!(store.session(other.id, t).await.expect("an answer").is_some(), "of somebody else");
    let nobody = super::sample::a_user("bob");
    assert_eq!(store.change_password(&nobody, until).await.expect("an answer"), None);
}
