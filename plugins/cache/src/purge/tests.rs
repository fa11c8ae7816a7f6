#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tidegate_core::cache::CacheKey;
use tidegate_core::{HeaderMap, HeaderValue};

use super::*;
use crate::store::Keys;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// A key as `crate::key` makes it.
fn key(scheme: &str, host: &str, port: &str, path: &str, query: &str) -> CacheKey {
    let parts = ["1", scheme, host, port, "GET", path, query];
    parts.iter().fold(CacheKey::new(), |key, part| key.part(part.as_bytes()))
}

fn shop(path: &str, query: &str) -> CacheKey {
    key("https", "shop.example", "443", path, query)
}

fn verdict(marks: &Marks, key: &CacheKey, asked: SystemTime) -> Verdict {
    marks.verdict(key.as_bytes(), &HeaderMap::new(), asked)
}

fn hard(target: Target) -> Mark {
    Mark { target, soft: false }
}

#[test]
fn a_url_is_purged_with_all_its_variants_and_no_other_is() {
    let marks = Marks::new();
    marks.add(&hard(Target::url("https://SHOP.example:443/a?y=2&x=1").unwrap()), at(10)).unwrap();
    let mut german = shop("/a", "x=1&y=2");
    german.push(b"accept-language: de");
    assert_eq!(verdict(&marks, &german, at(10)), Verdict::Gone);
    for other in [
        shop("/a", ""),
        shop("/a", "x=1"),
        shop("/b", "x=1&y=2"),
        key("http", "shop.example", "80", "/a", "x=1&y=2"),
        key("https", "shop.example", "8443", "/a", "x=1&y=2"),
        key("https", "www.shop.example", "443", "/a", "x=1&y=2"),
    ] {
        assert_eq!(verdict(&marks, &other, at(9)), Verdict::Good, "{other:?}");
    }
}

#[test]
fn prefixes_hosts_and_all() {
    for (target, hit, missed) in [
        (Target::prefix("https://shop.example/img/").unwrap(), shop("/img/a.png", "v=1"), shop("/image", "")),
        (Target::host("Shop.Example").unwrap(), shop("/", ""), key("https", "b.example", "443", "/", "")),
    ] {
        let marks = Marks::new();
        marks.add(&hard(target), at(10)).unwrap();
        assert_eq!(verdict(&marks, &hit, at(9)), Verdict::Gone);
        assert_eq!(verdict(&marks, &missed, at(9)), Verdict::Good);
    }
    let marks = Marks::new();
    marks.add(&hard(Target::All), at(10)).unwrap();
    assert_eq!(verdict(&marks, &shop("/", ""), at(10)), Verdict::Gone);
    assert_eq!(verdict(&marks, &shop("/", ""), at(11)), Verdict::Good);
}

#[test]
fn tags_of_both_fields_are_known() {
    let marks = Marks::new();
    marks.add(&hard(Target::tag("product-7").unwrap()), at(10)).unwrap();
    for (name, value, gone) in [
        ("cache-tag", "home, product-7", true),
        ("surrogate-key", "product-7 home", true),
        ("surrogate-key", "product-70", false),
        ("etag", "product-7", false),
    ] {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]);
        let found = marks.verdict(shop("/", "").as_bytes(), &headers, at(5));
        assert_eq!(found == Verdict::Gone, gone, "{name}: {value}");
    }
}

#[test]
fn what_is_stored_after_a_purge_stays_even_if_the_clock_stands_or_goes_back() {
    let marks = Marks::new();
    let before = marks.asked(at(10));
    marks.add(&hard(Target::All), at(10)).unwrap();
    let after = marks.asked(at(10));
    let earlier = marks.asked(at(3));
    assert_eq!(verdict(&marks, &shop("/", ""), before), Verdict::Gone);
    assert_eq!(verdict(&marks, &shop("/", ""), after), Verdict::Good);
    assert_eq!(verdict(&marks, &shop("/", ""), earlier), Verdict::Good);
    // And the next purge hits all of them, though the clock still stands.
    marks.add(&hard(Target::All), at(3)).unwrap();
    assert_eq!(verdict(&marks, &shop("/", ""), after), Verdict::Gone);
}

#[test]
fn a_soft_purge_ends_freshness_and_a_hard_one_wins_over_it() {
    let marks = Marks::new();
    let target = Target::url("https://shop.example/").unwrap();
    marks.add(&Mark { target: target.clone(), soft: true }, at(10)).unwrap();
    assert_eq!(verdict(&marks, &shop("/", ""), at(9)), Verdict::ExpiredAt(at(10)));
    marks.add(&hard(target), at(11)).unwrap();
    assert_eq!(verdict(&marks, &shop("/", ""), at(9)), Verdict::Gone);
}

#[test]
fn each_purge_is_a_new_epoch() {
    let marks = Marks::new();
    let before = marks.epoch();
    marks.asked_for("https://shop.example/", at(1));
    assert!(marks.invalidate("https://shop.example/".to_owned(), at(1)));
    assert_eq!(marks.epoch(), before + 1);
}

/// Whatever the clock says: what was asked for after a mark is hit by the next one.
#[test]
fn a_url_that_nobody_has_asked_for_since_needs_no_other_mark() {
    let url = || "https://shop.example/a".to_owned();
    let marks = Marks::new();
    assert!(!marks.invalidate(url(), at(1)), "never asked for");
    for clock in [5, 5, 3, 9] {
        let asked = marks.asked_for(&url(), at(clock));
        assert!(marks.invalidate(url(), at(clock)), "{clock}");
        assert_eq!(verdict(&marks, &shop("/a", ""), asked), Verdict::Gone, "{clock}");
        assert!(!marks.invalidate(url(), at(clock)) && !marks.invalidate(url(), at(100)), "{clock}");
    }
    // What a disk has from before may be of any URL.
    let folder = tempfile::tempdir().unwrap();
    for clock in [200, 210] {
        let marks = Marks::kept(folder.path(), &Keys::default(), at(clock)).unwrap();
        assert!(marks.invalidate(url(), at(clock)) && !marks.invalidate(url(), at(clock)));
    }
}

#[test]
fn what_is_no_target_is_refused_with_its_reason() {
    for url in ["", "shop.example/a", "ftp://a/b", "https:///a", "https://a b/", "https://u@a/", "https://a/#x"] {
        assert!(Target::url(url).is_err(), "{url}");
    }
    assert!(Target::prefix("https://a/?x").is_err());
    assert!(Target::host("a/b").is_err() && Target::host("").is_err());
    assert!(Target::tag("").is_err() && Target::tag("a b").is_err() && Target::tag("a,b").is_err());
}

#[test]
fn more_marks_than_are_kept_purge_more_and_never_less() {
    let marks = Marks::new();
    for n in 1..=200_001_u64 {
        let target = Target::Tag(format!("t{n}").into());
        marks.add(&hard(target), at(n)).unwrap();
    }
    assert!(marks.len() <= 100_002, "{}", marks.len());
    let tagged = |n: u64| HeaderMap::from_iter([("cache-tag".parse().unwrap(), format!("t{n}").parse().unwrap())]);
    for n in [1, 50_000, 150_000, 200_001] {
        assert_eq!(marks.verdict(shop("/", "").as_bytes(), &tagged(n), at(n)), Verdict::Gone, "{n}");
    }
    assert_eq!(marks.verdict(shop("/", "").as_bytes(), &tagged(7), at(200_000)), Verdict::Good);
}

#[test]
fn more_prefixes_than_are_kept_become_their_hosts() {
    let marks = Marks::new();
    for n in 0..1_001 {
        marks.add(&hard(Target::prefix(&format!("https://shop.example/{n}/")).unwrap()), at(10)).unwrap();
    }
    assert_eq!(verdict(&marks, &shop("/1000/x", ""), at(9)), Verdict::Gone);
}

/// 100,000 answers of one tag: one mark, and each of them is gone.
#[test]
fn purging_a_tag_takes_one_mark_however_many_answers_have_it() {
    let marks = Marks::new();
    let headers = HeaderMap::from_iter([("cache-tag".parse().unwrap(), HeaderValue::from_static("sale"))]);
    marks.add(&hard(Target::tag("sale").unwrap()), at(10)).unwrap();
    assert_eq!(marks.len(), 1);
    let gone = |n: u32| marks.verdict(shop(&format!("/{n}"), "").as_bytes(), &headers, at(9)) == Verdict::Gone;
    assert!((0..100_000).all(gone));
}

#[test]
fn marks_survive_a_restart_and_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let marks = Marks::kept(folder.path(), &Keys::default(), at(1)).unwrap();
    marks.add(&hard(Target::tag("a").unwrap()), at(10)).unwrap();
    marks.invalidate("https://shop.example/x".to_owned(), at(11));
    drop(marks);
    let path = folder.path().join("purges");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"0123 {\"at\":");
    std::fs::write(&path, &bytes).unwrap();

    let marks = Marks::kept(folder.path(), &Keys::default(), at(20)).unwrap();
    assert_eq!(marks.len(), 2);
    assert_eq!(verdict(&marks, &shop("/x", ""), at(11)), Verdict::Gone);
    assert_eq!(verdict(&marks, &shop("/y", ""), at(9)), Verdict::Good);
    marks.add(&hard(Target::tag("b").unwrap()), at(21)).unwrap();
    drop(marks);
    assert_eq!(Marks::kept(folder.path(), &Keys::default(), at(30)).unwrap().len(), 3);
}

fn raw(folder: &tempfile::TempDir) -> String {
    String::from_utf8(std::fs::read(folder.path().join("purges")).unwrap()).unwrap()
}

#[test]
fn marks_of_an_encrypted_zone_tell_nobody_what_was_purged() {
    let folder = tempfile::tempdir().unwrap();
    let (old, keys) = (Keys::new([&[1; 32]]), Keys::new([&[2; 32], &[1; 32]]));
    // Plain ones, as they were written before there was a key.
    let marks = Marks::kept(folder.path(), &Keys::default(), at(1)).unwrap();
    marks.invalidate("https://shop.example/secret-plan".to_owned(), at(10));
    assert!(raw(&folder).contains("secret-plan"));
    drop(marks);
    let marks = Marks::kept(folder.path(), &old, at(11)).unwrap();
    marks.add(&hard(Target::tag("secret-tag").unwrap()), at(12)).unwrap();
    let sealed = raw(&folder);
    assert!(!sealed.contains("secret") && !sealed.contains("shop"), "{sealed}");
    assert_eq!(sealed.lines().count(), 2);
    // Another key while it runs, and half a line after a crash.
    marks.seal_with(&keys).unwrap();
    marks.add(&hard(Target::host("shop.example").unwrap()), at(13)).unwrap();
    assert!(!raw(&folder).contains("shop") && raw(&folder).lines().all(|line| !sealed.contains(line)));
    drop(marks);
    let torn = raw(&folder);
    std::fs::write(folder.path().join("purges"), torn + "=AbC").unwrap();
    let marks = Marks::kept(folder.path(), &keys, at(20)).unwrap();
    assert_eq!(marks.len(), 3);
    assert_eq!(verdict(&marks, &shop("/secret-plan", ""), at(10)), Verdict::Gone);
    assert_eq!(verdict(&marks, &key("https", "b.example", "", "/", ""), at(10)), Verdict::Good);
    drop(marks);
    // Who has lost the key has purged all.
    for lost in [Keys::new([&[3; 32]]), Keys::default()] {
        let marks = Marks::kept(folder.path(), &lost, at(30)).unwrap();
        assert_eq!(verdict(&marks, &key("https", "b.example", "", "/", ""), at(29)), Verdict::Gone);
        drop(marks);
        let marks = Marks::kept(folder.path(), &lost, at(40)).unwrap();
        assert_eq!(verdict(&marks, &key("https", "b.example", "", "/", ""), at(31)), Verdict::Good, "once");
    }
}

/// As long as a request's head lets it be.
#[test]
fn long_urls_are_purged_as_others_are() {
    let (long, other) = (format!("/{}", "a".repeat(60_000)), format!("/{}b", "a".repeat(60_000)));
    for purge in [0, 1] {
        let marks = Marks::new();
        let url = format!("https://shop.example{long}?b&a");
        let place = Place { scheme: "https", host: "shop.example", port: "", path: &long, query: "a&b" };
        marks.asked_for(&place.url(), at(9));
        match purge {
            0 => marks.add(&hard(Target::url(&url).unwrap()), at(10)).unwrap(),
            _ => assert!(marks.invalidate(place.url(), at(10))),
        }
        assert_eq!(verdict(&marks, &shop(&long, "a&b"), at(9)), Verdict::Gone, "{purge}");
        assert_eq!(verdict(&marks, &shop(&other, "a&b"), at(9)), Verdict::Good, "{purge}");
        assert!(place.url().len() < 100, "a list of them takes no more room");
        assert!(url_of(shop(&long, "").as_bytes()).is_none());
    }
}

/// Its limits are a thousandth here of what they are.
#[test]
fn the_file_holds_each_mark_once_and_too_many_purge_all() {
    for keys in [Keys::default(), Keys::new([&[1; 32]])] {
        let folder = tempfile::tempdir().unwrap();
        let marks = Marks::kept(folder.path(), &keys, at(1)).unwrap();
        let again = |marks: &Marks, n: u64, clock: u64| {
            let url = format!("https://shop.example/{n}");
            marks.asked_for(&url, at(clock));
            assert!(marks.invalidate(url, at(clock)), "{n}");
        };
        (0..3_000).for_each(|n| again(&marks, n % 10, n + 10));
        assert!(raw(&folder).len() < 128 << 10, "{}", raw(&folder).len());
        drop(marks);
        let marks = Marks::kept(folder.path(), &keys, at(5_000)).unwrap();
        assert_eq!(marks.len(), 10);
        // What was purged last is known as such.
        let of = |asked| verdict(&marks, &shop("/9", ""), at(asked));
        assert_eq!((of(3_009), of(3_012)), (Verdict::Gone, Verdict::Good));
        (10..6_000).for_each(|n| again(&marks, n, 6_000));
        assert!(raw(&folder).len() < 512 << 10);
        drop(marks);
        let marks = Marks::kept(folder.path(), &keys, at(7_000)).unwrap();
        assert_eq!(verdict(&marks, &shop("/", ""), at(5_999)), Verdict::Gone);
        assert_eq!(verdict(&marks, &shop("/", ""), at(6_999)), Verdict::Good);
    }
}

#[test]
fn marks_that_can_not_be_read_purge_all_that_is_older() {
    let folder = tempfile::tempdir().unwrap();
    let marks = Marks::kept(folder.path(), &Keys::default(), at(1)).unwrap();
    marks.add(&hard(Target::tag("a").unwrap()), at(10)).unwrap();
    drop(marks);
    let path = folder.path().join("purges");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let marks = Marks::kept(folder.path(), &Keys::default(), at(20)).unwrap();
    assert_eq!(verdict(&marks, &shop("/y", ""), at(19)), Verdict::Gone);
    assert_eq!(verdict(&marks, &shop("/y", ""), at(21)), Verdict::Good);
}

proptest! {
    /// Nothing that anybody sends as a key, a header or a purge makes it panic.
    #[test]
    fn any_bytes_are_judged(key in proptest::collection::vec(any::<u8>(), 0..200), url in ".{0,80}") {
        let marks = Marks::new();
        marks.asked_for(&url, at(0));
        marks.invalidate(url.clone(), at(1));
        let _ = Target::url(&url).map(|target| marks.add(&hard(target), at(1)));
        let _ = Target::prefix(&url).map(|target| marks.add(&hard(target), at(2)));
        marks.verdict(&key, &HeaderMap::new(), at(0));
    }

    /// A purge hits what was asked for at its time or before, and nothing that was asked for later.
    #[test]
    fn purges_and_requests_are_told_apart_in_their_order(steps in proptest::collection::vec((any::<bool>(), 0_u64..5), 1..60)) {
        let marks = Marks::new();
        let mut stored: Vec<(SystemTime, bool)> = Vec::new();
        for (purge, clock) in steps {
            if purge {
                marks.add(&hard(Target::All), at(clock)).unwrap();
                stored.iter_mut().for_each(|(_, purged)| *purged = true);
            } else {
                stored.push((marks.asked(at(clock)), false));
            }
        }
        for (asked, purged) in stored {
            let expected = if purged { Verdict::Gone } else { Verdict::Good };
            prop_assert_eq!(verdict(&marks, &shop("/", ""), asked), expected);
        }
    }
}

/// A purge that names the same URL in another way is one of it.
#[test]
fn spellings_of_one_url_are_purged_as_one() {
    let bare = |host: &str, port: &str, path: &str, query: &str| key("https", host, port, path, query);
    for (target, hit) in [
        (
            Target::url("https://shop.example/%7euser/caf%c3%a9?q=%2f"),
            bare("shop.example", "", "/~user/caf%C3%A9", "q=%2F"),
        ),
        (Target::url("https://shop.example/~user"), bare("shop.example", "", "/%7Euser", "")),
        (Target::url("https://shop.example/café"), bare("shop.example", "", "/caf%C3%A9", "")),
        (Target::url("https://shop.example./a"), bare("shop.example", "", "/a", "")),
        (Target::url("https://shop.example/a"), bare("shop.example.", "0443", "/a", "")),
        (Target::url("https://shop.example:/a"), bare("shop.example", "", "/a", "")),
        (Target::url("https://shop.example:08443/a"), bare("shop.example", "8443", "/a", "")),
        (Target::url("https://[0:0::1]:443/a?"), bare("[::1]", "", "/a", "")),
        (Target::prefix("https://shop.example/caf%c3"), bare("shop.example.", "", "/caf%C3%A9", "")),
        (Target::prefix("https://shop.example"), bare("shop.example", "", "/", "x")),
        (Target::host("SHOP.example."), bare("shop.example", "8443", "/", "")),
        (Target::host("::1"), bare("[0::1]", "", "/", "")),
        (Target::host("[::1]"), bare("[::1]", "8443", "/", "")),
    ] {
        let target = target.unwrap();
        let marks = Marks::new();
        marks.add(&hard(target.clone()), at(10)).unwrap();
        assert_eq!(verdict(&marks, &hit, at(9)), Verdict::Gone, "{target:?}");
    }
}

/// An operator who is told that it is purged must be able to rely on it.
#[test]
fn hosts_that_no_request_can_name_are_refused() {
    for host in ["shop.example:8443", "bücher.example", "[::1]:80", "a b", "http://a"] {
        assert!(Target::host(host).is_err(), "{host}");
    }
    for url in ["https://bücher.example/", "https://a:b/", "https://:80/"] {
        assert!(Target::url(url).is_err(), "{url}");
    }
}

#[test]
fn too_many_prefixes_of_an_address_purge_all_of_that_address() {
    let marks = Marks::new();
    for n in 0..=1_000 {
        marks.add(&hard(Target::prefix(&format!("https://[::1]:8443/{n}/")).unwrap()), at(10)).unwrap();
    }
    assert_eq!(verdict(&marks, &key("https", "[::1]", "8443", "/1000/a", ""), at(9)), Verdict::Gone);
}

#[test]
fn the_log_says_what_a_purge_was_for() {
    let told = |target, soft| Mark { target, soft }.to_string();
    assert_eq!(told(Target::All, false), "all");
    assert_eq!(told(Target::All, true), "soft all");
    assert_eq!(told(Target::Tag("sale".into()), false), "tag sale");
}
