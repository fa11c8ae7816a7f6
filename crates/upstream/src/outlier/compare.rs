//! Targets that do worse than the others.

use std::time::Duration;

use super::Cause;
use crate::config::{LatencyOutlier, SuccessRate};

/// What was counted of one target in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// Tries that say something about the target.
    pub(super) tries: u32,
    /// Those of them with a good answer.
    pub(super) good: u32,
    /// Those with any.
    pub(super) answers: u32,
    /// How long these took to begin, together.
    pub(super) answer_nanos: u64,
}

/// A target, by its place, and what is wrong with it.
type Outlying = Vec<(usize, Cause)>;

/// Those whose share of good answers is too many standard deviations below the mean; the worst first.
pub(super) fn success_rates(samples: &[Sample], config: &SuccessRate) -> Outlying {
    let enough = samples.iter().enumerate().filter(|(_, sample)| sample.tries >= config.min_requests.max(1));
    let rates: Vec<(usize, f64)> = enough.map(|(at, sample)| (at, sample.rate())).collect();
    if rates.len() < config.min_targets.max(2) as usize {
        return Vec::new();
    }
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    let least = mean - config.deviations * variance.sqrt();
    // Without a deviation the mean is its own bound, but for what is lost in rounding.
    let mut low: Vec<_> = rates.into_iter().filter(|(_, rate)| *rate < least - f64::EPSILON).collect();
    low.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    low.into_iter().map(|(at, rate)| (at, Cause::SuccessRate { rate, mean })).collect()
}

/// Those whose answers take too many times as long as those of the others; the worst first.
pub(super) fn latencies(samples: &[Sample], config: &LatencyOutlier) -> Outlying {
    let enough = samples.iter().enumerate().filter(|(_, sample)| sample.answers >= config.min_requests.max(1));
    let enough: Vec<(usize, &Sample)> = enough.collect();
    let answers: f64 = enough.iter().map(|(_, sample)| f64::from(sample.answers)).sum();
    let nanos: f64 = enough.iter().map(|(_, sample)| sample.answer_nanos as f64).sum();
    let at_least = Duration::from(config.at_least).as_nanos() as f64;
    let judge = |(at, sample): (usize, &Sample)| {
        let (own_answers, own_nanos) = (f64::from(sample.answers), sample.answer_nanos as f64);
        let mean = own_nanos / own_answers;
        let others = (nanos - own_nanos) / (answers - own_answers);
        // Not a number where there are no others, and then not too long either.
        (mean >= at_least && mean > config.factor * others).then_some((at, mean, others))
    };
    let mut slow: Vec<_> = enough.into_iter().filter_map(judge).collect();
    slow.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
    let cause = |mean: f64, others: f64| Cause::Latency {
        mean: Duration::from_nanos(mean as u64),
        others: Duration::from_nanos(others as u64),
    };
    slow.into_iter().map(|(at, mean, others)| (at, cause(mean, others))).collect()
}

impl Sample {
    fn rate(&self) -> f64 {
        // The two are counted one after the other, so that one request may stand in one of them only.
        f64::from(self.good.min(self.tries)) / f64::from(self.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(good: u32, tries: u32) -> Sample {
        Sample { tries, good, ..Sample::default() }
    }

    fn timed(millis: u64, answers: u32) -> Sample {
        Sample { answers, answer_nanos: millis * 1_000_000 * u64::from(answers), ..Sample::default() }
    }

    fn places(outlying: Outlying) -> Vec<usize> {
        outlying.into_iter().map(|(at, _)| at).collect()
    }

    fn low(samples: &[Sample], config: &SuccessRate) -> Vec<usize> {
        places(success_rates(samples, config))
    }

    fn slow(samples: &[Sample], config: &LatencyOutlier) -> Vec<usize> {
        places(latencies(samples, config))
    }

    #[test]
    fn one_of_five_that_does_far_worse_is_an_outlier() {
        let samples = [rated(99, 100), rated(98, 100), rated(60, 100), rated(100, 100), rated(99, 100)];
        let found = success_rates(&samples, &SuccessRate::default());
        assert_eq!(found.len(), 1);
        let (at, cause) = found[0];
        assert_eq!((at, cause.to_string().as_str()), (2, "60.0% good answers where the mean is 91.2%"));
    }

    #[test]
    fn the_bound_is_so_many_deviations_below_the_mean() {
        // Rates 1, 1, 1, 1, 0.5: the mean is 0.9, a deviation is 0.2, so that the last is just two below the mean.
        let samples = [rated(100, 100), rated(100, 100), rated(100, 100), rated(100, 100), rated(50, 100)];
        let with = |deviations| SuccessRate { deviations, ..SuccessRate::default() };
        assert_eq!(low(&samples, &with(1.99)), [4]);
        assert_eq!(low(&samples, &with(2.01)), [0; 0]);
    }

    #[test]
    fn targets_that_all_do_the_same_have_no_outlier() {
        let config = SuccessRate { deviations: 0.0, ..SuccessRate::default() };
        for good in [0, 1, 50, 77, 100] {
            assert_eq!(low(&[rated(good, 100); 7], &config), [0; 0], "{good}%");
        }
    }

    #[test]
    fn targets_with_few_requests_are_neither_judged_nor_compared_with() {
        let (good, bad) = (rated(100, 100), rated(0, 99));
        assert_eq!(low(&[good, good, good, good, good, bad], &SuccessRate::default()), [0; 0]);
        assert_eq!(low(&[good, good, good, good, bad, rated(50, 100)], &SuccessRate::default()), [5]);
        assert_eq!(low(&[good, good, good, bad, rated(50, 100)], &SuccessRate::default()), [0; 0], "four are too few");
    }

    #[test]
    fn with_too_few_targets_none_is_judged() {
        let samples = [rated(100, 100), rated(100, 100), rated(0, 100)];
        let with = |min_targets| SuccessRate { deviations: 1.0, min_targets, ..SuccessRate::default() };
        assert_eq!(low(&samples, &with(3)), [2]);
        assert_eq!(low(&samples, &with(4)), [0; 0]);
    }

    #[test]
    fn the_worst_comes_first() {
        let mut rates = vec![rated(100, 100); 20];
        rates.extend([rated(30, 100), rated(10, 100)]);
        assert_eq!(low(&rates, &SuccessRate::default()), [21, 20]);
        let mut times = vec![timed(10, 100); 20];
        times.extend([timed(500, 100), timed(900, 100)]);
        assert_eq!(slow(&times, &LatencyOutlier::default()), [21, 20]);
    }

    #[test]
    fn a_target_that_takes_far_longer_than_the_others_is_an_outlier() {
        let found = latencies(&[timed(50, 300), timed(151, 100), timed(50, 100)], &LatencyOutlier::default());
        assert_eq!(found.len(), 1);
        let (at, cause) = found[0];
        assert_eq!((at, cause.to_string().as_str()), (1, "answers after 151ms where others take 50ms"));
        assert_eq!(slow(&[timed(50, 300), timed(150, 100), timed(50, 100)], &LatencyOutlier::default()), [0; 0]);
    }

    #[test]
    fn its_own_answers_are_no_part_of_what_it_is_compared_with() {
        // Together with its own, the mean would be 40ms, and three times that not exceeded.
        assert_eq!(
            slow(&[timed(10, 100), timed(110, 50)], &LatencyOutlier { min_requests: 50, ..LatencyOutlier::default() }),
            [1]
        );
    }

    #[test]
    fn a_mean_below_the_least_is_never_too_long() {
        assert_eq!(slow(&[timed(1, 100), timed(99, 100)], &LatencyOutlier::default()), [0; 0]);
        assert_eq!(slow(&[timed(1, 100), timed(100, 100)], &LatencyOutlier::default()), [1]);
    }

    #[test]
    fn answers_of_too_few_requests_are_neither_judged_nor_compared_with() {
        assert_eq!(slow(&[timed(10, 100), timed(500, 99)], &LatencyOutlier::default()), [0; 0]);
        assert_eq!(slow(&[timed(10, 99), timed(500, 100)], &LatencyOutlier::default()), [0; 0]);
        assert_eq!(slow(&[], &LatencyOutlier::default()), [0; 0]);
    }
}
