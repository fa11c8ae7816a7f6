//! What a password costs: bcrypt at the costs that people choose, on this machine's processor, by one thread.
//!
//! Prints the best of several rounds (what the code costs) and their median (what the machine made of it), and how many
//! logins a second that is for one thread. Premises that are checked: a hash has the cost that was asked for, its password
//! matches and another doesn't, and one step more of cost takes about twice as long, four of them sixteen times.

use std::time::{Duration, Instant};

use bcrypt::hash_with_salt;

const PASSWORD: &[u8] = b"correct horse battery staple";
const COSTS: [u32; 4] = [10, 11, 12, 14];
/// For each cost, so long.
const TIME: Duration = Duration::from_secs(4);

fn main() {
    println!("bcrypt on {}", processor());
    println!("{:>5} {:>10} {:>10} {:>12}", "cost", "ms", "(median)", "logins/s");
    let best: Vec<f64> = COSTS.into_iter().map(measure).collect();
    // From 10 to 14: four steps, each of which doubles it.
    let step = (best[3] / best[0]).powf(0.25);
    assert!((1.8..2.2).contains(&step), "one step more of cost takes {step:.2} times as long: is the machine busy?");
}

/// The best time of one hash, in seconds.
fn measure(cost: u32) -> f64 {
    let made = hash_with_salt(PASSWORD, cost, [7; 16]).expect("a hash").to_string();
    assert!(made.starts_with(&format!("$2b${cost}$")), "{made}");
    assert!(bcrypt::verify(PASSWORD, &made).expect("a hash") && !bcrypt::verify("another", &made).expect("a hash"));
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < TIME || times.len() < 3 {
        let start = Instant::now();
        assert!(bcrypt::verify(PASSWORD, &made).expect("a hash"));
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let (best, median) = (times[0], times[times.len() / 2]);
    println!("{cost:>5} {:>10.1} {:>10.1} {:>12.1}", best * 1e3, median * 1e3, 1.0 / best);
    best
}

/// Its name, where the system says.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "a processor without a name".to_owned(), |(_, name)| name.trim().to_owned())
}
