//! What is counted.

use tidegate_core::prometheus::{IntCounter, IntCounterVec};
use tidegate_core::{ConfigError, MetricError, Metrics, Route};

use crate::algorithm::Algorithm;

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Compressed,
    /// Its status is none that is compressed, or it is a part of something.
    Status,
    /// It is coded already.
    Encoded,
    /// Somebody asked that it be left alone.
    NoTransform,
    /// Fields follow its body.
    Trailers,
    /// Its type is not on the list.
    Type,
    TooSmall,
    /// By a rule of `skip_when`.
    Skipped,
    /// The client takes none of what is offered, or likes it better as it is.
    NotAccepted,
    /// There are too many streams.
    Busy,
}

impl Outcome {
    const ALL: [Self; 10] = [
        Self::Compressed,
        Self::Status,
        Self::Encoded,
        Self::NoTransform,
        Self::Trailers,
        Self::Type,
        Self::TooSmall,
        Self::Skipped,
        Self::NotAccepted,
        Self::Busy,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Compressed => "compressed",
            Self::Status => "status",
            Self::Encoded => "already_encoded",
            Self::NoTransform => "no_transform",
            Self::Trailers => "trailers",
            Self::Type => "type",
            Self::TooSmall => "too_small",
            Self::Skipped => "skipped",
            Self::NotAccepted => "not_accepted",
            Self::Busy => "busy",
        }
    }
}

/// What became of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    Whole,
    Unsupported,
    Broken,
    TooLarge,
    Busy,
}

impl Decoded {
    const ALL: [Self; 5] = [Self::Whole, Self::Unsupported, Self::Broken, Self::TooLarge, Self::Busy];

    const fn word(self) -> &'static str {
        match self {
            Self::Whole => "decoded",
            Self::Unsupported => "unsupported",
            Self::Broken => "broken",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
        }
    }
}

/// The counters of all routes.
#[derive(Debug)]
pub(crate) struct Counters {
    answers: IntCounterVec,
    requests: IntCounterVec,
    bytes: Bytes,
}

/// Bytes before and after, by algorithm.
#[derive(Debug, Clone)]
pub(crate) struct Bytes([InOut; Algorithm::ALL.len()]);

/// Bytes before and after.
#[derive(Debug, Clone)]
pub(crate) struct InOut {
    pub(crate) before: IntCounter,
    pub(crate) after: IntCounter,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, ConfigError> {
        Self::make(metrics).map_err(|error| ConfigError::at("", error.to_string()))
    }

    fn make(metrics: &Metrics) -> Result<Self, MetricError> {
        let help = "Answers by route and by what became of them: compressed, or why not";
        let answers = metrics.counter("tidegate_compress_answers_total", help, &["route", "outcome"])?;
        let help = "Requests with a coded body by route and by what became of it";
        let requests = metrics.counter("tidegate_compress_requests_total", help, &["route", "outcome"])?;
        let help = "Bytes of answers that were compressed, before and after (direction: in, out)";
        let bytes = metrics.counter("tidegate_compress_bytes_total", help, &["algorithm", "direction"])?;
        let of = |algorithm: Algorithm, direction| bytes.with_label_values(&[algorithm.token(), direction]);
        let bytes =
            Bytes(Algorithm::ALL.map(|algorithm| InOut { before: of(algorithm, "in"), after: of(algorithm, "out") }));
        Ok(Self { answers, requests, bytes })
    }

    pub(crate) fn answers(&self, route: &Route) -> Answers {
        let of = |outcome: Outcome| self.answers.with_label_values(&[&**route.name(), outcome.word()]);
        Answers { outcomes: Outcome::ALL.map(of), bytes: self.bytes.clone() }
    }

    pub(crate) fn requests(&self, route: &Route) -> Requests {
        Requests(Decoded::ALL.map(|outcome| self.requests.with_label_values(&[&**route.name(), outcome.word()])))
    }
}

/// The counters of one route's answers.
#[derive(Debug)]
pub(crate) struct Answers {
    outcomes: [IntCounter; Outcome::ALL.len()],
    bytes: Bytes,
}

impl Answers {
    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.inc();
        }
    }

    pub(crate) fn bytes(&self, algorithm: Algorithm) -> InOut {
        let Bytes([zstd, br, gzip]) = &self.bytes;
        match algorithm {
            Algorithm::Zstd => zstd.clone(),
            Algorithm::Br => br.clone(),
            Algorithm::Gzip => gzip.clone(),
        }
    }
}

/// The counters of one route's requests.
#[derive(Debug)]
pub(crate) struct Requests([IntCounter; Decoded::ALL.len()]);

impl Requests {
    pub(crate) fn count(&self, outcome: Decoded) {
        if let Some(counter) = self.0.get(outcome as usize) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_where_their_outcomes_say() {
        assert!(Outcome::ALL.iter().enumerate().all(|(index, outcome)| *outcome as usize == index));
        assert!(Decoded::ALL.iter().enumerate().all(|(index, outcome)| *outcome as usize == index));
        assert!(Algorithm::ALL.iter().enumerate().all(|(index, algorithm)| *algorithm as usize == index));
    }
}
