//! Requests for objects, some of which are asked for much more often than others, and what there is to win.

use std::collections::{BTreeMap, HashMap};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// How big objects are, whatever their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizes {
    /// From 512 bytes to 128 KiB, all as likely.
    Uniform,
    /// As on the web: a half is below 8 KiB, one in twenty above 68 KiB, none above 1 MiB.
    LogNormal,
}

impl Sizes {
    fn draw(self, random: &mut SmallRng) -> u32 {
        match self {
            Self::Uniform => random.random_range(512..128 << 10),
            Self::LogNormal => {
                // Box and Muller's.
                let radius = (-2.0 * random.random_range(f64::MIN_POSITIVE..1.0).ln()).sqrt();
                let normal = radius * random.random_range(0.0..std::f64::consts::TAU).cos();
                (8192.0 * (1.3 * normal).exp()).clamp(100.0, f64::from(1 << 20)) as u32
            }
        }
    }
}

/// A trace: object by object, and the size of each.
#[derive(Debug)]
pub struct Trace {
    /// Which object is asked for.
    pub requests: Vec<u32>,
    /// How big each is.
    pub sizes: Vec<u32>,
    /// How likely it is asked for next.
    odds: Vec<f64>,
}

/// What was answered from a store, of 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    /// Of the requests.
    pub requests: f64,
    /// Of the bytes of all answers.
    pub bytes: f64,
}

impl Trace {
    /// The object at place `n` is asked for with a probability as 1 / n^`skew`.
    pub fn new(objects: usize, requests: usize, skew: f64, sizes: Sizes, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut sum = 0.0;
        let weights: Vec<f64> = (1..=objects)
            .map(|place| {
                sum += (place as f64).powf(-skew);
                sum
            })
            .collect();
        let sizes = (0..objects).map(|_| sizes.draw(&mut random)).collect();
        let requests = (0..requests).map(|_| {
            let at = random.random_range(0.0..sum);
            weights.partition_point(|weight| *weight < at).min(objects - 1) as u32
        });
        let requests = requests.collect();
        let odds = (1..=objects).map(|place| (place as f64).powf(-skew)).collect();
        Self { requests, sizes, odds }
    }

    /// From the middle on others are asked for as often as the ones before.
    #[must_use]
    pub fn turned(mut self) -> Self {
        let reversed: Vec<f64> = self.odds.iter().rev().copied().collect();
        self.odds.iter_mut().zip(reversed).for_each(|(odds, later)| *odds += later);
        let (middle, objects) = (self.requests.len() / 2, self.sizes.len() as u32);
        self.requests[middle..].iter_mut().for_each(|object| *object = objects - 1 - *object);
        self
    }

    /// Among the requests as many again for objects that nobody asks for twice, as big as the others.
    #[must_use]
    pub fn among_strangers(mut self) -> Self {
        let known = self.sizes.len();
        let mut requests = Vec::with_capacity(self.requests.len() * 2);
        for (nth, object) in self.requests.iter().enumerate() {
            requests.extend([*object, (known + nth) as u32]);
            self.sizes.push(self.sizes[nth * 7919 % known]);
            self.odds.push(0.0);
        }
        self.requests = requests;
        self
    }

    /// Bytes of all objects.
    pub fn bytes(&self) -> u64 {
        self.sizes.iter().map(|size| u64::from(*size)).sum()
    }

    /// Goes through all requests. `ask` says of an object of this size whether it was there.
    pub fn play(&self, mut ask: impl FnMut(u32, u32) -> bool) -> Share {
        let (mut hits, mut hit_bytes, mut bytes) = (0_u64, 0_u64, 0_u64);
        for object in &self.requests {
            let size = self.sizes[*object as usize];
            bytes += u64::from(size);
            if ask(*object, size) {
                hits += 1;
                hit_bytes += u64::from(size);
            }
        }
        Share { requests: hits as f64 / self.requests.len() as f64, bytes: hit_bytes as f64 / bytes as f64 }
    }

    /// What a zone of so many bytes answers.
    pub fn zone(&self, bytes: u64) -> Share {
        let memory = super::Memory::new(bytes);
        let keys: Vec<_> = (0..self.sizes.len()).map(|nth| memory.key(&format!("/objects/{nth}"))).collect();
        self.play(|object, size| {
            let key = &keys[object as usize];
            let found = memory.find(key);
            if !found {
                memory.put(key, &[("content-type", "text/plain")], size as usize);
            }
            found
        })
    }

    /// What a store answers that keeps what was asked for last.
    pub fn lru(&self, bytes: u64, takes: impl Fn(u32) -> u64) -> Share {
        let (mut at, mut by_time) = (HashMap::new(), BTreeMap::new());
        let (mut now, mut used) = (0_u64, 0);
        self.play(|object, size| {
            now += 1;
            by_time.insert(now, object);
            if let Some(before) = at.insert(object, now) {
                by_time.remove(&before);
                return true;
            }
            used += takes(size);
            while used > bytes {
                let Some((_, oldest)) = by_time.pop_first() else { break };
                at.remove(&oldest);
                used -= takes(self.sizes[oldest as usize]);
            }
            false
        })
    }

    /// What an admission makes of it that knows how often each object will be asked for, and stores those only that are asked
    /// for most often and fit: an object's first request is a miss, all others are hits.
    pub fn optimum(&self, bytes: u64, takes: impl Fn(u32) -> u64) -> Share {
        let asked = self.asked();
        self.keeping(bytes, &takes, |object| asked[object] as f64)
    }

    /// The same of one that weighs how often an object will be asked for against its size: nothing that doesn't change what
    /// it stores has more hits.
    pub fn optimum_by_size(&self, bytes: u64, takes: impl Fn(u32) -> u64) -> Share {
        let asked = self.asked();
        let again = |object: usize| asked[object].saturating_sub(1) as f64;
        self.keeping(bytes, &takes, |object| again(object) / takes(self.sizes[object]) as f64)
    }

    /// The same of one that knows how likely each object is asked for, and not which are in the end. That nobody can learn
    /// from the past: what one without that knowledge wins is luck.
    pub fn optimum_by_odds(&self, bytes: u64, takes: impl Fn(u32) -> u64) -> Share {
        self.keeping(bytes, &takes, |object| self.odds[object] / takes(self.sizes[object]) as f64)
    }

    fn asked(&self) -> Vec<u64> {
        let mut asked = vec![0; self.sizes.len()];
        self.requests.iter().for_each(|object| asked[*object as usize] += 1);
        asked
    }

    /// What is answered by those of most worth that fit.
    fn keeping(&self, bytes: u64, takes: &impl Fn(u32) -> u64, worth: impl Fn(usize) -> f64) -> Share {
        let mut objects: Vec<usize> = (0..self.sizes.len()).collect();
        objects.sort_by(|one, other| worth(*other).total_cmp(&worth(*one)));
        let (mut used, mut stored) = (0, vec![false; self.sizes.len()]);
        for object in objects {
            let takes = takes(self.sizes[object]);
            if used + takes <= bytes {
                used += takes;
                stored[object] = true;
            }
        }
        let mut seen = vec![false; self.sizes.len()];
        self.play(|object, _| std::mem::replace(&mut seen[object as usize], true) && stored[object as usize])
    }
}
