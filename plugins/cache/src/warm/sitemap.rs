//! Sitemaps (sitemaps.org): lists of URLs, and lists of such lists.

use std::time::Duration;

use quick_xml::Reader;
use quick_xml::events::Event;
use tidegate_core::{Bytes, FetchLimits, Http};

use super::{MOST, is_url};

/// Longest sitemap that is read: what the protocol allows.
const LONGEST: usize = 50 << 20;

/// How many sitemaps one run reads.
const MOST_MAPS: usize = 100;

/// What a sitemap lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) urls: Vec<String>,
    /// Other sitemaps.
    pub(super) maps: Vec<String>,
}

/// All URLs of these sitemaps and of those that they list. One that can't be read is left out, and logged.
pub(super) async fn all(http: &Http, maps: &[String], within: Duration) -> Vec<String> {
    let mut urls = Vec::new();
    let mut todo: Vec<String> = maps.iter().rev().cloned().collect();
    let mut read = Vec::new();
    while let Some(map) = todo.pop() {
        if read.contains(&map) || read.len() >= MOST_MAPS || urls.len() >= MOST {
            continue;
        }
        match fetch(http, &map, within).await {
            Ok(listed) => {
                urls.extend(listed.urls);
                todo.extend(listed.maps.into_iter().rev());
            }
            Err(why) => log::warn!(sitemap = map.as_str(), why = why.as_str(); "a sitemap can't be read"),
        }
        read.push(map);
    }
    urls
}

async fn fetch(http: &Http, map: &str, within: Duration) -> Result<Listed, String> {
    let request = http::Request::get(map).body(Bytes::new()).map_err(|error| error.to_string())?;
    let answer = http.fetch(request, FetchLimits { within, largest: LONGEST }).await.map_err(|e| e.to_string())?;
    match answer.status().as_u16() {
        200 => parse(answer.body()),
        status => Err(format!("the answer was {status}")),
    }
}

/// What a sitemap lists; the error says what is wrong with it.
pub(super) fn parse(xml: &[u8]) -> Result<Listed, String> {
    let mut reader = Reader::from_reader(xml);
    let (mut listed, mut open, mut text) = (Listed::default(), Vec::<Vec<u8>>::new(), String::new());
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(tag) if open.len() < 16 => {
                open.push(tag.local_name().as_ref().to_vec());
                text.clear();
            }
            Event::Start(_) => return Err("too deep for a sitemap".to_owned()),
            Event::Text(piece) => text.push_str(&piece.decode().map_err(|error| error.to_string())?),
            Event::CData(piece) => text.push_str(&piece.decode().map_err(|error| error.to_string())?),
            Event::GeneralRef(name) => text.push(character(&name).ok_or("an unknown entity")?),
            Event::End(_) => {
                let names: Vec<&[u8]> = open.iter().rev().take(2).map(Vec::as_slice).collect();
                let url = text.trim();
                match names.as_slice() {
                    [b"loc", b"url"] if is_url(url) && listed.urls.len() < MOST => listed.urls.push(url.to_owned()),
                    [b"loc", b"sitemap"] if is_url(url) && listed.maps.len() < MOST => listed.maps.push(url.to_owned()),
                    _ => {}
                }
                open.pop();
                text.clear();
            }
            Event::Eof if open.is_empty() => return Ok(listed),
            Event::Eof => return Err("it ends too early".to_owned()),
            _ => {}
        }
    }
}

/// The five entities that XML has, and characters by their numbers.
fn character(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        _ => {
            let number = std::str::from_utf8(name).ok()?.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}
