#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;

use super::sitemap::{Listed, parse};
use super::top::Top;
use crate::config::TopConfig;

#[test]
fn a_sitemap_lists_urls_and_an_index_lists_sitemaps() {
    let xml = br#"<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
  <url><loc> https://shop.example/a?x=1&amp;y=2 </loc><lastmod>2026-01-01</lastmod></url>
  <url><loc><![CDATA[https://shop.example/b]]></loc></url>
  <url><loc>https://shop.example/&#x63;</loc></url>
  <url><loc>javascript:alert(1)</loc></url>
</urlset>"#;
    let urls = ["https://shop.example/a?x=1&y=2", "https://shop.example/b", "https://shop.example/c"];
    assert_eq!(parse(xml).unwrap().urls, urls);
    let index = br"<sitemapindex><sitemap><loc>https://shop.example/1.xml</loc></sitemap></sitemapindex>";
    let maps = vec!["https://shop.example/1.xml".to_owned()];
    assert_eq!(parse(index).unwrap(), Listed { urls: Vec::new(), maps });
}

#[test]
fn what_is_no_sitemap_says_why() {
    for xml in [&b"<urlset><url><loc>https://a/"[..], b"<a></b>", b"<urlset>&nbsp;</urlset>"] {
        assert!(parse(xml).is_err(), "{}", String::from_utf8_lossy(xml));
    }
    let deep = "<a>".repeat(100);
    assert!(parse(deep.as_bytes()).is_err());
}

#[test]
fn what_was_wanted_most_is_there_in_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = TopConfig { file: folder.path().join("top.txt"), count: 2.try_into().unwrap() };
    let top = Top::new(config);
    assert!(top.read().is_empty());
    let urls = ["https://a.example/1", "https://a.example/2", "https://a.example/3"].map(str::to_owned);
    top.write(&urls).unwrap();
    assert_eq!(top.read(), urls[..2]);
}

proptest! {
    #[test]
    fn anything_is_a_sitemap_or_an_error(xml in ".{0,200}") {
        let _ = parse(xml.as_bytes());
        let _ = parse(format!("<urlset><url><loc>{xml}</loc></url></urlset>").as_bytes());
    }
}
