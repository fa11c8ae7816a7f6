//! Users: names are unique, changes are not lost.

use super::sample::a_user;
use super::{Any, at_once, count, names};
use crate::id::Id;
use crate::store::User;

pub(super) async fn a_user_is_found_by_id_and_by_name(store: Any) {
    let ada = a_user("ada");
    assert!(store.create_user(&ada).await.expect("an answer"));
    assert_eq!(store.user(ada.id).await.expect("an answer"), Some(ada.clone()));
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada.clone()));
    assert_eq!(store.user_named("adam").await.expect("an answer"), None);
    assert_eq!(store.user(Id::random()).await.expect("an answer"), None);
    assert!(!store.create_user(&a_user("ada")).await.expect("an answer"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), Some(ada));
    let bare = User { email: None, totp: None, roles: Vec::new(), disabled: true, ..a_user("bare") };
    assert!(store.create_user(&bare).await.expect("an answer"));
    assert_eq!(store.user(bare.id).await.expect("an answer"), Some(bare));
}

pub(super) async fn one_of_many_gets_a_name(store: Any) {
    let created = at_once(50, |_| {
        let store = store.clone();
        async move {
            let user = a_user("wanted");
            Ok((store.create_user(&user).await?, user.id))
        }
    });
    let created: Vec<_> = created.await.into_iter().filter(|(created, _)| *created).collect();
    assert_eq!(created.len(), 1);
    let user = store.user_named("wanted").await.expect("an answer").expect("a user");
    assert_eq!(user.id, created[0].1);
}

pub(super) async fn one_of_many_changes_wins(store: Any) {
    let ada = a_user("ada");
    store.create_user(&ada).await.expect("an answer");
    let changed = at_once(50, |turn| {
        let (store, ada) = (store.clone(), User { display: turn.to_string(), ..ada.clone() });
        async move { store.update_user(&ada).await }
    });
    let changed = changed.await;
    assert_eq!(count(&changed), 1);
    let winner = changed.iter().position(|changed| *changed).expect("one of them");
    let now = store.user(ada.id).await.expect("an answer").expect("a user");
    assert_eq!(now, User { display: winner.to_string(), version: ada.version + 1, ..ada.clone() });
    assert!(!store.update_user(&ada).await.expect("an answer"), "the version is an old one");
    assert!(store.update_user(&now).await.expect("an answer"));
    assert!(!store.update_user(&a_user("nobody")).await.expect("an answer"));
    assert_eq!(store.user_named("nobody").await.expect("an answer"), None);
}

pub(super) async fn a_user_is_renamed_and_the_old_name_is_free(store: Any) {
    let (ada, bob) = (a_user("ada"), a_user("bob"));
    assert!(store.create_user(&ada).await.expect("an answer"));
    assert!(store.create_user(&bob).await.expect("an answer"));
    let taken = User { name: "bob".to_owned(), ..ada.clone() };
    assert!(!store.update_user(&taken).await.expect("an answer"));
    assert_eq!(store.user(ada.id).await.expect("an answer"), Some(ada.clone()));
    let renamed = User { name: "lovelace".to_owned(), ..ada.clone() };
    assert!(store.update_user(&renamed).await.expect("an answer"));
    assert_eq!(store.user_named("ada").await.expect("an answer"), None);
    let found = store.user_named("lovelace").await.expect("an answer").expect("a user");
    assert_eq!((found.id, found.version), (ada.id, ada.version + 1));
    assert!(store.create_user(&a_user("ada")).await.expect("an answer"));
    assert!(!store.create_user(&a_user("lovelace")).await.expect("an answer"));
}

pub(super) async fn one_of_many_is_renamed(store: Any) {
    let users: Vec<_> = names(20).iter().map(|name| a_user(name)).collect();
    for user in &users {
        assert!(store.create_user(user).await.expect("an answer"));
    }
    let renamed = at_once(users.len(), |turn| {
        let (store, user) = (store.clone(), User { name: "wanted".to_owned(), ..users[turn].clone() });
        async move { store.update_user(&user).await }
    });
    let renamed = renamed.await;
    assert_eq!(count(&renamed), 1);
    let winner = store.user_named("wanted").await.expect("an answer").expect("a user");
    for (user, renamed) in users.iter().zip(renamed) {
        assert_eq!(user.id == winner.id, renamed);
        let by_old_name = store.user_named(&user.name).await.expect("an answer");
        assert_eq!(by_old_name.is_some(), !renamed);
    }
}

/// Renamed to and fro, and others after the same names meanwhile: nobody's name is lost, and none is two users'.
pub(super) async fn back_and_forth(store: Any) {
    let ada = a_user("ada");
    store.create_user(&ada).await.expect("an answer");
    let others = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            for turn in 0..40 {
                let other = a_user(["ada", "lovelace"][turn % 2]);
                if store.create_user(&other).await.expect("an answer") {
                    taken.push(other);
                }
            }
            taken
        })
    };
    for turn in 0..40 {
        let now = store.user(ada.id).await.expect("an answer").expect("a user");
        let next = User { name: ["lovelace", "ada"][turn % 2].to_owned(), ..now };
        store.update_user(&next).await.expect("an answer");
    }
    let mut all = others.await.expect("no panic");
    all.push(ada);
    for user in &all {
        let user = store.user(user.id).await.expect("an answer").expect("a user");
        let found = store.user_named(&user.name).await.expect("an answer").expect("whoever has the name");
        assert_eq!(found.id, user.id);
    }
}
