//! Asking for what clients will ask for, before they do.

mod progress;
mod sitemap;
mod top;
mod wanted;
mod work;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::config::{ConfigError, ConfigErrors, ConfigPath};
use tidegate_core::{BuildCx, Clock, HeaderMap, HeaderName, HeaderValue, Http, Stop};

pub(crate) use self::progress::{Progress, Run};
pub(crate) use self::top::{Top, keep};
pub(crate) use self::wanted::Wanted;
use crate::config::WarmConfig;

/// How many URLs one run may have: as many as one sitemap may (sitemaps.org).
const MOST: usize = 50_000;

/// Who asks, and for what.
pub(crate) struct Warmer {
    http: Http,
    clock: Clock,
    urls: Vec<String>,
    sitemaps: Vec<String>,
    top: Option<Top>,
    concurrency: usize,
    timeout: Duration,
    /// The sets of fields; at least one, which may be empty.
    headers: Vec<HeaderMap>,
    progress: Arc<Progress>,
}

impl Warmer {
    /// Errors are at the fields of `warm`.
    pub(crate) fn new(config: WarmConfig, cx: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::new();
        for (name, urls) in [("urls", &config.urls), ("sitemaps", &config.sitemaps)] {
            for (place, url) in urls.iter().enumerate() {
                if !is_url(url) {
                    let path = ConfigPath::root().key(name).index(place);
                    let wrong = ConfigError::at(path, format!("`{url}` is no URL"));
                    errors.push(wrong.help("write it with scheme and host: https://shop.example/"));
                }
            }
        }
        let headers = errors.collect(fields(&config));
        let http = errors.collect(cx.gateway());
        let (Some(headers), Some(http)) = (headers, http) else { return Err(errors) };
        errors.into_result(())?;
        Ok(Self {
            http,
            clock: cx.clock().clone(),
            urls: config.urls,
            sitemaps: config.sitemaps,
            top: config.top.map(Top::new),
            concurrency: usize::from(config.concurrency.get()),
            timeout: config.timeout.get(),
            headers,
            progress: cx.retain("warm", Progress::default),
        })
    }

    /// How far a run has got.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Where the most wanted URLs are noted.
    pub(crate) fn top(&self) -> Option<&Top> {
        self.top.as_ref()
    }

    /// One run of all that is configured.
    pub(crate) async fn run(&self, run: Run, stop: &mut Stop) {
        let mut urls = self.urls.clone();
        if let Some(top) = &self.top {
            urls.extend(top.read());
        }
        let listed = tokio::select! {
            listed = sitemap::all(&self.http, &self.sitemaps, self.timeout) => listed,
            () = stop.stopped() => return,
        };
        urls.extend(listed);
        self.ask_for(urls, run, stop).await;
    }

    /// One run of these.
    pub(crate) async fn ask_for(&self, mut urls: Vec<String>, run: Run, stop: &mut Stop) {
        let mut seen = HashSet::new();
        urls.retain(|url| is_url(url) && seen.insert(url.clone()));
        if urls.len() > MOST {
            log::warn!(urls = urls.len(), most = MOST; "more URLs to warm the cache with than one run may have");
            urls.truncate(MOST);
        }
        work::ask_for(self, urls, run, stop).await;
    }

    /// A run, unless there is one.
    async fn run_alone(&self, stop: &mut Stop) {
        match self.progress.begin() {
            Some(run) => self.run(run, stop).await,
            None => log::warn!("the cache is being warmed already"),
        }
    }

    /// Now, and again every so often, until it is told to stop.
    pub(crate) async fn repeat(self: Arc<Self>, on_start: bool, every: Option<Duration>, mut stop: Stop) {
        if on_start {
            self.run_alone(&mut stop).await;
        }
        let Some(every) = every else { return };
        while !stop.is_stopped() {
            tokio::select! {
                () = self.clock.sleep(every) => self.run_alone(&mut stop).await,
                () = stop.stopped() => return,
            }
        }
    }
}

/// An absolute URL of `http` or `https` with a host.
pub(crate) fn is_url(text: &str) -> bool {
    let uri = text.parse::<http::Uri>().ok();
    uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

fn fields(config: &WarmConfig) -> Result<Vec<HeaderMap>, ConfigErrors> {
    let mut errors = ConfigErrors::new();
    let mut sets = Vec::new();
    for (place, given) in config.headers.iter().enumerate() {
        let mut set = HeaderMap::new();
        for (name, value) in given {
            let path = ConfigPath::root().key("headers").index(place).key(name);
            let field = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value.expose()).ok());
            match field {
                Some((name, mut value)) => {
                    value.set_sensitive(true);
                    set.append(name, value);
                }
                None => errors.push(ConfigError::at(path, "no header field")),
            }
        }
        sets.push(set);
    }
    if sets.is_empty() {
        sets.push(HeaderMap::new());
    }
    errors.into_result(sets)
}
