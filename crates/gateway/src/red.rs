//! Rate, errors, duration: the metrics of every request, by the names that dashboards know.
//!
//! Labels are the route's name, the method and the status, never anything a client made up: a path as a label
//! would let anyone fill the memory of whoever scrapes us.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Method;
use tidegate_core::prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use tidegate_core::{MetricError, Metrics};

const LABELS: [&str; 3] = ["method", "route", "status_code"];

/// In seconds. Alert rules are written for these.
const DURATION_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// In bytes: powers of 8, from less than a packet to a film. Each bucket is a series for each route, method and
/// status, so there are few.
const SIZE_BUCKETS: [f64; 8] = [128.0, 1024.0, 8192.0, 65_536.0, 524_288.0, 4_194_304.0, 33_554_432.0, 268_435_456.0];

/// The metrics of all requests.
#[derive(Clone)]
pub(crate) struct Red(Arc<Families>);

struct Families {
    requests: IntCounterVec,
    duration: HistogramVec,
    request_size: HistogramVec,
    response_size: HistogramVec,
}

impl Red {
    /// The same metrics as before, if these were made before: counters only ever go up, over a reload too.
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricError> {
        let histogram = |name, help, buckets: &[f64]| metrics.histogram(name, help, &LABELS, buckets);
        Ok(Self(Arc::new(Families {
            requests: metrics.counter("http_requests_total", "Requests answered.", &LABELS)?,
            duration: histogram(
                "http_request_duration_seconds",
                "Time from a request's head to the end of its answer.",
                &DURATION_BUCKETS,
            )?,
            request_size: histogram("http_request_size_bytes", "Bytes of request bodies.", &SIZE_BUCKETS)?,
            response_size: histogram("http_response_size_bytes", "Bytes of response bodies.", &SIZE_BUCKETS)?,
        })))
    }

    /// The share of one route. Costs next to nothing until its first request.
    pub(crate) fn series(&self, route: impl Into<Arc<str>>) -> Series {
        Series { families: self.0.clone(), route: route.into(), first: OnceLock::new() }
    }
}

/// The metrics of one route.
///
/// A list that only grows: a combination of method and status is resolved when it is first seen, and found again
/// without a lock or a hash. Routes see few combinations, the usual one first; there can't be more than 10 methods
/// times 501 statuses.
pub(crate) struct Series {
    families: Arc<Families>,
    route: Arc<str>,
    first: OnceLock<Box<Seen>>,
}

struct Seen {
    method: &'static str,
    status: u16,
    requests: IntCounter,
    duration: Histogram,
    request_size: Histogram,
    response_size: Histogram,
    next: OnceLock<Box<Seen>>,
}

impl Series {
    /// Counts one request that has ended.
    pub(crate) fn record(&self, method: &Method, status: u16, duration: Duration, bytes_in: u64, bytes_out: u64) {
        let seen = self.seen(method_label(method), bounded(status));
        seen.requests.inc();
        seen.duration.observe(duration.as_secs_f64());
        // Exact up to 8 PiB.
        seen.request_size.observe(bytes_in as f64);
        seen.response_size.observe(bytes_out as f64);
    }

    fn seen(&self, method: &'static str, status: u16) -> &Seen {
        let mut link = &self.first;
        loop {
            // Two threads at the end of the list: one makes its own entry, the other looks at it and goes on.
            let seen = link.get_or_init(|| Box::new(self.resolve(method, status)));
            if seen.status == status && seen.method == method {
                return seen;
            }
            link = &seen.next;
        }
    }

    fn resolve(&self, method: &'static str, status: u16) -> Seen {
        let status_label = format!("{status:03}");
        let labels = [method, &*self.route, &*status_label];
        Seen {
            method,
            status,
            requests: self.families.requests.with_label_values(&labels),
            duration: self.families.duration.with_label_values(&labels),
            request_size: self.families.request_size.with_label_values(&labels),
            response_size: self.families.response_size.with_label_values(&labels),
            next: OnceLock::new(),
        }
    }
}

/// One by one: dropping the first of a long list would else drop the rest by recursion.
impl Drop for Series {
    fn drop(&mut self) {
        let mut next = self.first.take();
        while let Some(mut seen) = next {
            next = seen.next.take();
        }
    }
}

/// Clients make up methods; all of those are one.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => "other",
    }
}

/// Upstreams make up statuses; all that HTTP has no class for are 000.
fn bounded(status: u16) -> u16 {
    if (100..=599).contains(&status) { status } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tidegate_core::prometheus::TextEncoder;

    fn text(metrics: &Metrics) -> String {
        TextEncoder::new().encode_to_string(&metrics.registry().gather()).expect("text")
    }

    fn count_of(metrics: &Metrics, line: &str) -> Option<u64> {
        text(metrics).lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    fn record(series: &Series, method: &Method, status: u16, millis: u64) {
        series.record(method, status, Duration::from_millis(millis), 0, 0);
    }

    #[test]
    fn requests_are_counted_by_method_route_and_status() {
        let metrics = Metrics::new();
        let red = Red::new(&metrics).expect("made");
        let (users, orders) = (red.series("users"), red.series("orders"));
        for n in 0..1000_u64 {
            let series = if n % 10 == 0 { &orders } else { &users };
            let method = if n % 2 == 0 { Method::GET } else { Method::POST };
            record(series, &method, if n % 100 == 0 { 502 } else { 200 }, n);
        }
        for (labels, count) in [
            (r#"method="GET",route="orders",status_code="200""#, 90),
            (r#"method="GET",route="orders",status_code="502""#, 10),
            (r#"method="GET",route="users",status_code="200""#, 400),
            (r#"method="POST",route="users",status_code="200""#, 500),
        ] {
            assert_eq!(count_of(&metrics, &format!("http_requests_total{{{labels}}}")), Some(count), "{labels}");
            for histogram in ["http_request_duration_seconds", "http_request_size_bytes", "http_response_size_bytes"] {
                assert_eq!(count_of(&metrics, &format!("{histogram}_count{{{labels}}}")), Some(count), "{histogram}");
            }
        }
        assert_eq!(text(&metrics).matches("\nhttp_requests_total{").count(), 4);
    }

    #[test]
    fn a_known_duration_lands_in_its_bucket() {
        let metrics = Metrics::new();
        let series = Red::new(&metrics).expect("made").series("r");
        for millis in [4, 5, 6, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 5001] {
            record(&series, &Method::GET, 200, millis);
        }
        let buckets = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
        let counts = [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
        for (bucket, count) in buckets.into_iter().zip(counts) {
            let line = format!(
                r#"http_request_duration_seconds_bucket{{method="GET",route="r",status_code="200",le="{bucket}"}}"#
            );
            assert_eq!(count_of(&metrics, &line), Some(count), "{bucket}");
        }
        let lines =
            text(&metrics).lines().filter(|line| line.starts_with("http_request_duration_seconds_bucket")).count();
        assert_eq!(lines, buckets.len());
    }

    #[test]
    fn sizes_add_up_to_the_byte() {
        let metrics = Metrics::new();
        let series = Red::new(&metrics).expect("made").series("r");
        series.record(&Method::PUT, 201, Duration::ZERO, 1_234_567, 10);
        series.record(&Method::PUT, 201, Duration::ZERO, 1, 128);
        let labels = r#"{method="PUT",route="r",status_code="201"}"#;
        assert_eq!(count_of(&metrics, &format!("http_request_size_bytes_sum{labels}")), Some(1_234_568));
        assert_eq!(count_of(&metrics, &format!("http_response_size_bytes_sum{labels}")), Some(138));
    }

    #[test]
    fn what_clients_and_upstreams_make_up_adds_no_series() {
        let metrics = Metrics::new();
        let series = Red::new(&metrics).expect("made").series("r");
        for n in 0..2000 {
            let method = Method::from_bytes(format!("M{n}").as_bytes()).expect("a method");
            record(&series, &method, 600 + n, 1);
            record(&series, &method, 0, 1);
        }
        let line = r#"http_requests_total{method="other",route="r",status_code="000"}"#;
        assert_eq!(count_of(&metrics, line), Some(4000));
        assert_eq!(text(&metrics).matches("\nhttp_requests_total{").count(), 1);
    }

    #[test]
    fn every_status_may_occur_and_the_list_ends() {
        let metrics = Metrics::new();
        let series = Red::new(&metrics).expect("made").series("r");
        for _ in 0..2 {
            (0..=999).for_each(|status| record(&series, &Method::GET, status, 1));
        }
        assert_eq!(text(&metrics).matches("\nhttp_requests_total{").count(), 501);
    }

    #[test]
    fn threads_that_see_a_status_first_at_once_lose_no_count() {
        let metrics = Metrics::new();
        let series = Red::new(&metrics).expect("made").series("r");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5000_u16).for_each(|n| record(&series, &Method::GET, 200 + n % 50, 1)));
            }
        });
        for status in 200..250 {
            let line = format!(r#"http_requests_total{{method="GET",route="r",status_code="{status}"}}"#);
            assert_eq!(count_of(&metrics, &line), Some(400));
        }
    }

    #[test]
    fn a_reload_goes_on_counting() {
        let metrics = Metrics::new();
        for _ in 0..2 {
            record(&Red::new(&metrics).expect("made").series("r"), &Method::GET, 200, 1);
        }
        assert_eq!(count_of(&metrics, r#"http_requests_total{method="GET",route="r",status_code="200"}"#), Some(2));
    }
}
