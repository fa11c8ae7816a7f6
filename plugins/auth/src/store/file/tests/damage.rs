//! Files with flipped bits and files that were cut: they are refused, or what is read of them is what was written. No
//! panic, and nothing that isn't true.

use super::*;

/// A file with users and sessions, closed.
async fn whole(folder: &TempDir) -> (Vec<User>, Vec<u8>) {
    let store = Arc::new(store(&open_file(folder)));
    let users: Vec<_> = names(60).iter().map(|name| a_user(name)).collect();
    let created = at_once(users.len(), |turn| {
        let (store, user) = (store.clone(), users[turn].clone());
        async move {
            store.open_session(&a_session(user.id, now()), 10).await?;
            store.create_user(&user).await
        }
    });
    assert_eq!(count(&created.await), users.len());
    drop(store);
    (users, std::fs::read(path(folder)).expect("the file"))
}

/// Opens what is left of the file, and reads all of it. Whether it was refused.
async fn examine(folder: &TempDir, bytes: &[u8], users: &[User], what: &str) -> bool {
    std::fs::write(path(folder), bytes).expect("a copy");
    let Ok(file) = OpenFile::open(&path(folder)) else { return true };
    let store = store(&Arc::new(file));
    for user in users {
        match store.user_named(&user.name).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(user), "{what}"),
            Err(StoreError::Corrupt(_) | StoreError::Unavailable(_)) => return true,
            Err(other) => panic!("{what}: {other}"),
        }
        match store.sessions(user.id, now()).await {
            Ok(found) => assert_eq!(found.len(), 1, "{what}"),
            Err(StoreError::Corrupt(_) | StoreError::Unavailable(_)) => return true,
            Err(other) => panic!("{what}: {other}"),
        }
    }
    // Writing to it may find out more.
    let _ = store.create_user(&a_user("new")).await;
    let _ = store.sweep(now().plus(secs(86_400 * 31))).await;
    false
}

const ROUNDS: u32 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bits_are_found() {
    let folder = folder();
    let (users, bytes) = whole(&folder).await;
    let used: Vec<_> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let (mut random, mut refused) = (1_u64, 0);
    for _ in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = used[(random >> 33) as usize % used.len()];
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (random >> 20 & 7);
        refused += usize::from(examine(&folder, &damaged, &users, &format!("a bit at {place}")).await);
    }
    // The rest is in pages that nothing uses any more, or in the older of two roots: the more of them, the fewer writes
    // were made in one.
    assert!(refused > 10, "only {refused} of {ROUNDS} were found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overwritten_pages_are_found() {
    let folder = folder();
    let (users, bytes) = whole(&folder).await;
    let (mut tried, mut refused) = (0, 0);
    let used = bytes.chunks(4096).enumerate().filter(|(_, page)| page.iter().any(|byte| *byte != 0));
    for (place, page) in used.step_by(3) {
        let mut damaged = bytes.clone();
        damaged[place * 4096..][..page.len()].fill(0xA5);
        tried += 1;
        refused += usize::from(examine(&folder, &damaged, &users, &format!("page {place}")).await);
    }
    assert!(refused > 5, "only {refused} of {tried} pages were missed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_were_cut_are_refused() {
    let folder = folder();
    let (users, bytes) = whole(&folder).await;
    for length in [1, 9, 100, 319, 320, 4096, 8192, 65_536, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
        examine(&folder, &bytes[..length], &users, &format!("{length} bytes")).await;
    }
    assert!(!examine(&folder, &bytes, &users, "the whole file").await);
}
