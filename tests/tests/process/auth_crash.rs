//! The program is killed while people sign up and log out: what they were told is so is so when it starts again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_testkit::{Call, Client, Signal, call, wait_until};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Tidegate;

const ROUNDS: u64 = 100;
/// On a slow machine few are told anything in a round: there are more rounds then.
const MOST_ROUNDS: u64 = 400;
/// How many passwords are hashed at a time.
const WORKERS: usize = 2;
const PASSWORD: &str = "correct horse battery staple";

/// What a login gave.
#[derive(Debug, Clone)]
struct Pair {
    access: String,
    refresh: String,
}

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Who signed up.
    names: Vec<String>,
    /// Logins that nobody has begun to end.
    open: Vec<Pair>,
    /// Logins that were ended.
    ended: Vec<Pair>,
}

#[derive(Default)]
struct Ledger {
    told: Mutex<Told>,
    /// The round in which the program was killed last.
    killed: AtomicU64,
}

impl Told {
    /// Whether it is worth looking whether it is still so.
    fn says_enough(&self) -> bool {
        self.names.len() > 30 && self.ended.len() > 10 && self.open.len() > 5
    }
}

impl Ledger {
    fn says_enough(&self) -> bool {
        self.told.lock().says_enough()
    }

    /// How often anybody was told anything.
    fn count(&self) -> usize {
        let told = self.told.lock();
        told.names.len() + told.open.len() + 2 * told.ended.len()
    }
}

/// Limits that nobody reaches, and the cheapest hashes.
fn yaml(store: &Path) -> String {
    format!(
        "auth:\n  service:\n    issuer: \"https://api.test\"\n    store: {{ file: {store:?}, max_sessions: 100000 }}\n    access: {{ ttl: 1h }}\n    \
         password: {{ cost: 10, workers: {WORKERS} }}\n    signup: {{ enabled: true, per_hour: 1000000 }}\n    \
         attempts: {{ client: 1000000, account: 1000000, account_total: 1000000 }}\n    lockout: {{ failures: 0 }}\n\
         routing: {{ routes: [{{ name: auth, match: {{ path: \"/auth/**\" }}, endpoint: {{ auth: {{}} }} }}] }}\n"
    )
}

fn post(path: &str, body: &Value) -> Call {
    call(Method::POST, path).header("content-type", "application/json").body(body.to_string())
}

fn bearer(call: Call, pair: &Pair) -> Call {
    call.header("authorization", format!("Bearer {}", pair.access))
}

fn log_in(name: &str) -> Call {
    post("/auth/login", &json!({ "name": name, "password": PASSWORD }))
}

fn refresh(pair: &Pair) -> Call {
    post("/auth/refresh", &json!({ "refresh_token": pair.refresh }))
}

/// Until the program is gone.
async fn sign_up(mut client: Client, ledger: Arc<Ledger>, number: u64) {
    for turn in 0.. {
        let name = format!("user-{number}-{turn}");
        let signup = post("/auth/signup", &json!({ "name": name, "password": PASSWORD }));
        let Ok(answer) = client.try_send(signup).await else { return };
        answer.expect(201);
        ledger.told.lock().names.push(name);
    }
}

/// Logs in as whoever signed up last, until the program is gone.
async fn log_in_again(mut client: Client, ledger: Arc<Ledger>) {
    loop {
        let Some(name) = ledger.told.lock().names.last().cloned() else { return };
        let Ok(answer) = client.try_send(log_in(&name)).await else { return };
        let json = answer.expect(200).json();
        let text = |name: &str| json[name].as_str().expect("a token").to_owned();
        let pair = Pair { access: text("access_token"), refresh: text("refresh_token") };
        ledger.told.lock().open.push(pair);
    }
}

/// Until the program is gone. Some logins are left open.
async fn log_out(mut client: Client, ledger: Arc<Ledger>, number: u64) {
    while ledger.killed.load(Ordering::Relaxed) != number {
        sleep(Duration::from_millis(1 + number % 20)).await;
        let keep = number as usize / 10;
        let pair = Some(ledger.told.lock()).filter(|told| told.open.len() > keep).and_then(|mut told| told.open.pop());
        let Some(pair) = pair else { continue };
        let logout = post("/auth/logout", &json!({ "refresh_token": pair.refresh }));
        let Ok(answer) = client.try_send(bearer(logout, &pair)).await else { return };
        answer.expect(204);
        ledger.told.lock().ended.push(pair);
    }
}

/// Starts the program, and kills it when everybody is at it.
async fn round(number: u64, folder: &TempDir, ledger: &Arc<Ledger>) {
    let mut gateway = Tidegate::start(&yaml(&folder.path().join("auth.redb"))).await;
    let last: Vec<_> = ledger.told.lock().ended.iter().rev().take(5).cloned().collect();
    all_are_refused(&gateway, &last).await;
    let before = ledger.count();
    let mut busy = JoinSet::new();
    busy.spawn(sign_up(gateway.connect().await, ledger.clone(), number));
    busy.spawn(log_in_again(gateway.connect().await, ledger.clone()));
    busy.spawn(log_out(gateway.connect().await, ledger.clone(), number));
    wait_until("somebody was told something", || ledger.count() > before).await;
    sleep(Duration::from_micros(number * 7919 % 40_000)).await;
    gateway.program.signal(Signal::Kill);
    ledger.killed.store(number, Ordering::Relaxed);
    gateway.program.wait().await;
    while let Some(ended) = busy.join_next().await {
        ended.expect("nobody was told anything else");
    }
}

async fn all_are_refused(gateway: &Tidegate, ended: &[Pair]) {
    let mut client = gateway.connect().await;
    for pair in ended {
        client.send(bearer(call(Method::GET, "/auth/me"), pair)).await.expect(401);
        client.send(refresh(pair)).await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_signup_or_logout_is_lost_when_the_program_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Arc::new(Ledger::default());
    for number in 1..=MOST_ROUNDS {
        round(number, &folder, &ledger).await;
        if number >= ROUNDS && ledger.says_enough() {
            break;
        }
    }
    let gateway = Tidegate::start(&yaml(&folder.path().join("auth.redb"))).await;
    let told = std::mem::take(&mut *ledger.told.lock());
    let counts = format!("{} signups, {} logouts, {} left", told.names.len(), told.ended.len(), told.open.len());
    assert!(told.says_enough(), "too few: {counts}");

    all_are_refused(&gateway, &told.ended).await;
    // They aren't refused because everything is.
    let mut client = gateway.connect().await;
    for pair in &told.open {
        client.send(bearer(call(Method::GET, "/auth/me"), pair)).await.expect(200);
    }
    let mut logins = JoinSet::new();
    for names in told.names.chunks(told.names.len().div_ceil(WORKERS)) {
        let (mut client, names) = (gateway.connect().await, names.to_vec());
        logins.spawn(async move {
            for name in names {
                client.send(log_in(&name)).await.expect(200);
            }
        });
    }
    while let Some(done) = logins.join_next().await {
        done.expect("everybody who signed up can log in");
    }
}
