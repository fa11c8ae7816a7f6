//! One client: its token, fetched ahead of need, and handed out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tidegate_core::{BuildCx, Clock, ConfigError, ConfigErrors, FetchLimits, Http, Stop};

use crate::config::{Client as Config, Fetch};
use crate::metrics::ClientMetrics;
use crate::question::Question;
use crate::slot::{Change, Flying, Next, Slot, Wish};
use crate::token::{self, Token};

/// The longest answer: a token and a few words.
const LARGEST: usize = 64 * 1024;
/// How long a server may be waited for at most: a client waits behind it.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The pause after the first failure, and between a token and its successor at least.
const SECOND: Duration = Duration::from_secs(1);
/// How much longer than the fetch itself a request waits.
const GRACE: Duration = Duration::from_millis(500);

/// One client of an authorization server.
pub(crate) struct Client {
    name: Box<str>,
    config: Config,
    question: Question,
    http: Http,
    clock: Clock,
    slot: Arc<Slot>,
    pub(crate) metrics: ClientMetrics,
    used: AtomicBool,
}

impl Client {
    /// Errors are relative to the client's map.
    pub(crate) fn build(name: &str, config: &Config, cx: &mut BuildCx<'_>) -> Result<Arc<Self>, ConfigErrors> {
        let mut errors = times(config);
        let question = errors.collect(Question::build(config));
        let http = errors.collect(cx.http(config.ca.as_deref()).map_err(|error| error.under(&"ca".into())));
        let metrics = ClientMetrics::new(cx.metrics(), name);
        let metrics = errors.collect(metrics.map_err(|error| ConfigError::at("", error.to_string())));
        let (Some(question), Some(http), Some(metrics), true) = (question, http, metrics, errors.is_empty()) else {
            return Err(errors);
        };
        let slot = cx.retain(&same_token(name, config), Slot::default);
        let (name, clock) = (name.into(), cx.clock().clone());
        let used = AtomicBool::new(false);
        let client = Arc::new(Self { name, config: config.clone(), question, http, clock, slot, metrics, used });
        let fetching = client.clone();
        cx.spawn(&format!("token of {}", client.name), move |stop| fetching.run(stop));
        Ok(client)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn question(&self) -> &Question {
        &self.question
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A route uses it.
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    pub(crate) fn use_it(&self) {
        self.used.store(true, Relaxed);
    }

    /// The token, if nobody has to wait for it.
    pub(crate) fn at_once(&self) -> Option<Arc<Token>> {
        self.slot.fresh(self.clock.now())
    }

    /// The token that a request is sent with; or how long until there may be one.
    pub(crate) async fn token(&self) -> Result<Arc<Token>, Duration> {
        match self.at_once() {
            Some(token) => Ok(token),
            None => self.wait().await,
        }
    }

    async fn wait(&self) -> Result<Arc<Token>, Duration> {
        let mut ended = self.slot.ended();
        let over = self.clock.sleep(self.config.timeout.saturating_add(GRACE));
        tokio::pin!(over);
        let pause = loop {
            let now = self.clock.now();
            if let Some(token) = self.slot.fresh(now) {
                return Ok(token);
            }
            if let Wish::Later(pause) = self.slot.wish(now) {
                break pause;
            }
            tokio::select! {
                _ = ended.changed() => {}
                () = &mut over => break SECOND,
            }
        };
        // One that an upstream didn't take is better than none.
        self.slot.valid(self.clock.now()).ok_or_else(|| self.missing(pause))
    }

    fn missing(&self, pause: Duration) -> Duration {
        if self.slot.tells() {
            let error = self.slot.standing().error;
            let (client, error) = (&*self.name, error.as_deref().unwrap_or("no answer yet"));
            log::warn!(client, error; "there is no token for upstreams: requests that need it fail");
        }
        pause
    }

    /// An upstream answered 401 to this token.
    pub(crate) fn rejected(&self, token: &Arc<Token>) {
        self.metrics.rejected.inc();
        if self.slot.doubt(token, self.clock.now(), self.config.refetch.get()) {
            log::info!(client = &*self.name; "an upstream did not take the token: another one is fetched");
        }
    }

    /// Fetches whenever it is time, until it is told to stop. A fetch that is on its way then is given up: the next
    /// configuration begins with its own.
    async fn run(self: Arc<Self>, mut stop: Stop) {
        tokio::select! {
            biased;
            () = stop.stopped() => {}
            () = self.keep_fetching() => {}
        }
    }

    async fn keep_fetching(&self) {
        let mut ended = self.slot.ended();
        self.slot.begin();
        let mut early = jitter();
        loop {
            let at_start = self.config.fetch == Fetch::AtStart;
            match self.slot.next(self.clock.now(), at_start, |token| self.refresh(token, early)) {
                Next::Wished => self.slot.wished().await,
                Next::In(wait) => {
                    tokio::select! {
                        () = self.slot.wished() => {}
                        () = self.clock.sleep(wait) => {}
                    }
                }
                Next::Now => match self.slot.start() {
                    Some(flying) => {
                        self.fetch(flying).await;
                        early = jitter();
                    }
                    None if ended.changed().await.is_err() => return,
                    None => {}
                },
            }
        }
    }

    /// When a token is replaced.
    fn refresh(&self, token: &Token, early: f64) -> Instant {
        let before = self.config.refresh_before.get();
        let before = before.saturating_add(before.mul_f64(early)).min(token.life() / 2);
        let at = token.expires.checked_sub(before).unwrap_or(token.expires);
        at.max(token.fetched.checked_add(SECOND).unwrap_or(at))
    }

    async fn fetch(&self, flying: Flying<'_>) {
        let asked = self.clock.now();
        let limits = FetchLimits { within: self.config.timeout.get(), largest: LARGEST };
        let answer = self.http.fetch(self.question.request(), limits).await;
        self.metrics.seconds.observe(self.clock.now().saturating_duration_since(asked).as_secs_f64());
        let token = match answer {
            Ok(answer) => {
                let token = token::read(&answer, asked, self.config.lifetime.get());
                token.and_then(|token| token.in_time(self.clock.now())).map_err(|bad| bad.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match token {
            Ok(token) => self.arrived(flying, token),
            Err(error) => self.failed(flying, &error),
        }
    }

    /// Whoever sees that a fetch is counted finds what came of it; and the same with [`Client::failed`].
    fn arrived(&self, flying: Flying<'_>, token: Token) {
        let (client, seconds) = (&*self.name, token.life().as_secs());
        let left = token.expires.saturating_duration_since(self.clock.now());
        let expires = self.clock.wall().checked_add(left);
        match flying.arrived(token) {
            Change::Recovered(failures) => log::info!(client, failures, seconds; "tokens can be fetched again"),
            _ => log::debug!(client, seconds; "a token was fetched"),
        }
        self.metrics.fetched(expires);
    }

    fn failed(&self, flying: Flying<'_>, error: &str) {
        let now = self.clock.now();
        let client = &*self.name;
        let left = self.slot.valid(now).map_or(0, |token| token.expires.saturating_duration_since(now).as_secs());
        match flying.failed(error, now, |failures| self.pause(failures)) {
            Change::Failed => log::warn!(client, error, seconds_left = left; "a token can't be fetched"),
            _ => log::debug!(client, error, seconds_left = left; "a token still can't be fetched"),
        }
        self.metrics.failed.inc();
    }

    /// Twice as long after each failure, and not always as long: gateways that failed together don't ask together.
    fn pause(&self, failures: u32) -> Duration {
        let pause = SECOND.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.config.max_backoff.get());
        pause.saturating_sub(pause.mul_f64(jitter()))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.name).finish()
    }
}

/// From 0 to a tenth.
fn jitter() -> f64 {
    rand::random::<f64>() / 10.0
}

/// Under what a reload finds a token again: what makes it another one. A new secret doesn't.
fn same_token(name: &str, config: &Config) -> String {
    let Config { token_url, client_id, scopes, audience, resource, .. } = config;
    format!("{:?}", (name, token_url, client_id, scopes, audience, resource))
}

fn times(config: &Config) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    if config.timeout.is_zero() || config.timeout.get() > LONGEST_WAIT {
        errors.push(ConfigError::at("timeout", "must be more than 0s and at most 1m"));
    }
    let Config { lifetime, refetch, max_backoff, .. } = config;
    for (key, time) in [("lifetime", lifetime), ("refetch", refetch), ("max_backoff", max_backoff)] {
        if time.get() < SECOND {
            errors.push(ConfigError::at(key, "must be at least 1s"));
        }
    }
    errors
}
