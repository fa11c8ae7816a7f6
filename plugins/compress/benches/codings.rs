//! What each algorithm and level costs: MB/s of content, the ratio, how long the longest piece of 64 KiB keeps its
//! thread, what an answer of 2 KiB costs from its head to its end, and how much memory a stream holds.
//!
//! The content is JSON as an API lists things: names, numbers, addresses and a few words. Premise that is checked: what is
//! measured decodes to what it was. Prints the best of several rounds.

use std::time::{Duration, Instant};

use tidegate_compress::algorithm::Algorithm;
use tidegate_compress::decoder::{Decoder, Limits};
use tidegate_compress::encoder::{Content, Encoder, Then};

const PIECE: usize = 64 * 1024;
const PIECES: usize = 32;
const ROUNDS: usize = 5;
const SMALL: usize = 2048;
/// How many streams are held at once to see what one holds.
const HELD: usize = 64;

fn main() {
    let body = records(PIECE * PIECES);
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, hold, algorithm, level, content] = &arguments[..]
        && hold == HOLD
    {
        return println!("{}", held(algorithm, level, content, &body));
    }
    println!(
        "{:>5} {:>5} {:>8} {:>7} {:>14} {:>14} {:>14} {:>14}",
        "", "level", "MB/s", "ratio", "64 KiB, worst", "flushed ratio", "2 KiB answer", "KiB/stream"
    );
    for (algorithm, most) in [(Algorithm::Zstd, 7), (Algorithm::Br, 6), (Algorithm::Gzip, 9)] {
        for level in 1..=most {
            measure(algorithm, level, &body);
        }
    }
    for algorithm in Algorithm::ALL {
        decode(algorithm, &body);
        println!("{algorithm:>5} events: {} KiB/stream", memory(algorithm, 1, "events"));
    }
}

fn measure(algorithm: Algorithm, level: u32, body: &[u8]) {
    let (mut best, mut worst, mut coded) = (Duration::MAX, Duration::MAX, Vec::new());
    for _ in 0..ROUNDS {
        let (total, longest, out) = run(algorithm, level, body, Then::More);
        best = best.min(total);
        worst = worst.min(longest);
        coded = out;
    }
    assert_eq!(decoded(algorithm, &coded), body, "{algorithm} level {level}");
    let (_, _, flushed) = run(algorithm, level, body, Then::Flush);
    let speed = body.len() as f64 / best.as_secs_f64() / 1e6;
    println!(
        "{algorithm:>5} {level:>5} {speed:>8.0} {:>7.2} {:>11.2} ms {:>14.2} {:>11.0} us {:>14}",
        body.len() as f64 / coded.len() as f64,
        worst.as_secs_f64() * 1e3,
        body.len() as f64 / flushed.len() as f64,
        small(algorithm, level, body).as_secs_f64() * 1e6,
        memory(algorithm, level, "body"),
    );
}

/// The whole body in pieces: how long it took, how long its longest piece did, and what came out.
fn run(algorithm: Algorithm, level: u32, body: &[u8], then: Then) -> (Duration, Duration, Vec<u8>) {
    let (mut total, mut longest) = (Duration::ZERO, Duration::ZERO);
    let mut encoder = Encoder::new(algorithm, level, Content::Unknown).expect("an encoder");
    let mut out = Vec::new();
    let count = body.len().div_ceil(PIECE);
    for (index, piece) in body.chunks(PIECE).enumerate() {
        let started = Instant::now();
        let made = encoder.piece(piece, if index + 1 == count { Then::End } else { then }).expect("a piece");
        let took = started.elapsed();
        total += took;
        longest = longest.max(took);
        out.extend(made);
    }
    (total, longest, out)
}

/// A small answer whose length is known, its encoder included.
fn small(algorithm: Algorithm, level: u32, body: &[u8]) -> Duration {
    let times = body.chunks(SMALL).map(|answer| {
        let started = Instant::now();
        let mut encoder = Encoder::new(algorithm, level, Content::Of(SMALL as u64)).expect("an encoder");
        encoder.piece(answer, Then::End).expect("coded");
        drop(encoder);
        started.elapsed()
    });
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

/// What one stream holds in the middle of its body, in KiB; 0 where the system does not say. In a process of its own:
/// memory that was used before is not given back.
fn memory(algorithm: Algorithm, level: u32, content: &str) -> String {
    let own = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(own).args([HOLD, algorithm.token(), &level.to_string(), content]).output();
    String::from_utf8(output.expect("a process").stdout).expect("a number").trim().to_owned()
}

const HOLD: &str = "hold";

fn held(algorithm: &str, level: &str, content: &str, body: &[u8]) -> u64 {
    let algorithm = Algorithm::from_token(algorithm.as_bytes()).expect("an algorithm");
    let level = level.parse().expect("a level");
    let content = if content == "events" { Content::Events } else { Content::Unknown };
    let before = resident();
    let held: Vec<_> = (0..HELD)
        .map(|_| {
            let mut encoder = Encoder::new(algorithm, level, content).expect("an encoder");
            for piece in body.chunks(PIECE).take(12) {
                encoder.piece(piece, Then::More).expect("a piece");
            }
            encoder
        })
        .collect();
    let after = resident();
    drop(held);
    after.saturating_sub(before) / HELD as u64
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn decode(algorithm: Algorithm, body: &[u8]) {
    let (_, _, coded) = run(algorithm, 4, body, Then::More);
    let times = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        assert_eq!(decoded(algorithm, &coded).len(), body.len());
        started.elapsed()
    });
    let best = times.min().expect("rounds");
    println!("{algorithm:>5} decoded: {:.0} MB/s of content", body.len() as f64 / best.as_secs_f64() / 1e6);
}

fn decoded(algorithm: Algorithm, coded: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(algorithm, Limits { size: u64::MAX, ratio: u64::MAX }).expect("a decoder");
    let mut all = decoder.piece(coded).expect("readable");
    all.extend(decoder.end().expect("whole"));
    all
}

/// A list of things in JSON, of this length.
fn records(length: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "harbour", "signal", "copper", "meadow", "quiet", "lantern", "orbit", "velvet", "granite", "willow", "ember",
        "pocket", "violet", "anchor", "summit", "paper",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut text = String::with_capacity(length + 512);
    text.push('[');
    for id in 0.. {
        if text.len() >= length {
            break;
        }
        let mut word = || WORDS[random(16) as usize];
        let (first, last, about) = (word(), word(), [word(), word(), word(), word(), word()].join(" "));
        let (price, stock, token) = (random(100_000), random(500), random(u64::MAX));
        text.push_str(&format!(
            "{{\"id\":{id},\"name\":\"{first} {last}\",\"email\":\"{first}.{last}{stock}@example.com\",\"price\":{}.{:02},\
             \"stock\":{stock},\"token\":\"{token:016x}\",\"about\":\"{about}\",\"tags\":[\"{last}\",\"{first}\"]}},",
            price / 100,
            price % 100
        ));
    }
    text.truncate(length);
    text.into_bytes()
}
