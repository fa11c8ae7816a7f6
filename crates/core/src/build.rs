//! What a plugin can use while it is built.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use crate::fetch::MakeHttp;
use crate::{Clock, ConfigError, Http, Metrics, Redis, Retained, Stop, Stores, Task};

/// What a plugin or router can use while it is built: once for each configuration.
pub struct BuildCx<'a> {
    plugin: &'static str,
    clock: &'a Clock,
    metrics: &'a Metrics,
    stores: &'a Stores,
    kept: &'a Retained,
    kept_before: Option<&'a Retained>,
    tasks: &'a mut Vec<Task>,
    listeners: &'a [String],
    http: Option<&'a dyn MakeHttp>,
    redacted: Option<&'a mut Vec<String>>,
    dry: bool,
}

impl<'a> BuildCx<'a> {
    #[doc(hidden)]
    pub fn new(
        plugin: &'static str,
        clock: &'a Clock,
        metrics: &'a Metrics,
        stores: &'a Stores,
        kept: (&'a Retained, Option<&'a Retained>),
        tasks: &'a mut Vec<Task>,
    ) -> Self {
        Self {
            plugin,
            clock,
            metrics,
            stores,
            kept: kept.0,
            kept_before: kept.1,
            tasks,
            listeners: &[],
            http: None,
            redacted: None,
            dry: false,
        }
    }

    #[doc(hidden)]
    #[must_use]
    pub fn with_listeners(mut self, listeners: &'a [String]) -> Self {
        self.listeners = listeners;
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn with_http(mut self, http: &'a dyn MakeHttp) -> Self {
        self.http = Some(http);
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn with_redacted(mut self, redacted: &'a mut Vec<String>) -> Self {
        self.redacted = Some(redacted);
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub fn dry(mut self, dry: bool) -> Self {
        self.dry = dry;
        self
    }

    /// Whether this configuration is only being checked: no file is to be made or changed, nobody to be contacted.
    pub fn is_dry_run(&self) -> bool {
        self.dry
    }

    /// A client for requests of the plugin's own. It trusts the system's CAs, or those of the PEM file `ca` alone.
    /// The error carries no path yet: put it under that of the field that named the file.
    pub fn http(&self, ca: Option<&Path>) -> Result<Http, ConfigError> {
        let http = self.http.ok_or_else(|| ConfigError::at("", "this gateway makes no requests of its own"))?;
        http.make(ca)
    }

    /// A client of this gateway itself, as anybody's request would be: a URL goes to the first listener that has TLS, or
    /// has none, as its scheme says, whatever its host. With [`FetchLimits::largest`](crate::FetchLimits) 0 the body is
    /// read and dropped. Before the gateway serves, there is no answer.
    pub fn gateway(&self) -> Result<Http, ConfigError> {
        let http = self.http.ok_or_else(|| ConfigError::at("", "this gateway makes no requests of its own"))?;
        Ok(http.own())
    }

    /// Has the access log hide the values of query parameters and header fields of this name, beside those that it
    /// always hides: where the configuration says that a secret is. A name needs a letter or a digit.
    pub fn redact(&mut self, name: &str) {
        let names = self.redacted.iter_mut().filter(|_| name.bytes().any(|byte| byte.is_ascii_alphanumeric()));
        names.for_each(|names| names.push(name.to_owned()));
    }

    /// The names of the gateway's listeners; empty when they could not be read, which is reported already.
    pub fn listeners(&self) -> &'a [String] {
        self.listeners
    }

    /// The clock for everything that depends on time; tests turn it by hand.
    pub fn clock(&self) -> &Clock {
        self.clock
    }

    /// Where the plugin's metrics are made. Call them `tidegate_<plugin>_…`.
    pub fn metrics(&self) -> &Metrics {
        self.metrics
    }

    /// The same `Arc` that the configuration before this one got for `key`, or a new one: state that a reload
    /// keeps. Keys are the plugin's own; put into the key what makes old state unusable (a limit's window).
    pub fn retain<T: Send + Sync + 'static>(&mut self, key: &str, make: impl FnOnce() -> T) -> Arc<T> {
        self.kept.entry(self.kept_before, self.plugin, key, make)
    }

    /// The store that `stores:` calls `name`. The error carries no path yet: put it under that of the field
    /// that named the store.
    pub fn redis(&self, name: &str) -> Result<Redis, ConfigError> {
        self.stores.named(name)
    }

    /// All stores: for a plugin whose policies name stores of their own.
    pub fn stores(&self) -> &'a Stores {
        self.stores
    }

    /// Work beside the requests. Starts when this configuration becomes the current one, and is told to stop
    /// when another takes its place.
    pub fn spawn<F, Fut>(&mut self, name: &str, task: F)
    where
        F: FnOnce(Stop) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tasks.push(Task::new(format!("{}.{name}", self.plugin), task));
    }
}

impl std::fmt::Debug for BuildCx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildCx").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}
