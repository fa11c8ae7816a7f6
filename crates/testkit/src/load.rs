//! Clients that ask again and again, until the test has seen enough.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Answer, Client, call, wait_until};

/// Answers by their bodies.
pub type Tally = BTreeMap<String, usize>;

/// Clients at work: each has one connection, on which GETs go one after the other. Ends when it is dropped.
#[derive(Debug)]
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

/// What came back, in order.
#[derive(Debug, Default)]
struct Seen {
    /// How often [`Load::next`] was asked.
    turn: usize,
    /// The bodies of the answers of 200, and the turns in which their requests were sent.
    bodies: Vec<(usize, String)>,
    /// All else: other answers, and connections that ended before one.
    failures: Vec<String>,
}

/// Sends GETs for `path` over as many connections as `clients` says, until it is finished.
pub fn load(addr: SocketAddr, path: &str, clients: usize) -> Load {
    let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), watch::Sender::new(false));
    let mut all = JoinSet::new();
    for _ in 0..clients {
        all.spawn(ask(addr, path.to_owned(), seen.clone(), stop.subscribe()));
    }
    Load { seen, stop, clients: all }
}

impl Load {
    /// Waits for so many answers to requests that are sent from now on, and counts them. Panics when a request fails.
    pub async fn next(&self, count: usize) -> Tally {
        let turn = {
            let mut seen = self.seen.lock();
            seen.turn += 1;
            seen.turn
        };
        let enough = || {
            let seen = self.seen.lock();
            seen.since(turn).count() >= count || !seen.failures.is_empty()
        };
        wait_until(&format!("{count} answers"), enough).await;
        self.expect_no_failure();
        tally(self.seen.lock().since(turn).take(count))
    }

    /// The answers until now.
    pub fn answers(&self) -> Tally {
        tally(self.seen.lock().since(0))
    }

    /// Panics when a request has failed.
    pub fn expect_no_failure(&self) {
        let seen = self.seen.lock();
        let (failed, good) = (seen.failures.len(), seen.bodies.len());
        assert!(failed == 0, "{failed} requests failed beside {good}:\n{}", seen.failures.join("\n"));
    }

    /// Lets each client end the request it is at, and counts all answers. Panics when a request failed.
    pub async fn finish(mut self) -> Tally {
        self.stop.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.expect("a client that does not panic");
        }
        self.expect_no_failure();
        self.answers()
    }
}

impl Seen {
    /// The answers to requests that were sent in this turn or later.
    fn since(&self, turn: usize) -> impl Iterator<Item = &str> {
        self.bodies.iter().filter(move |(sent, _)| *sent >= turn).map(|(_, body)| body.as_str())
    }
}

fn tally<'a>(bodies: impl Iterator<Item = &'a str>) -> Tally {
    let mut tally = Tally::new();
    for body in bodies {
        *tally.entry(body.to_owned()).or_default() += 1;
    }
    tally
}

async fn ask(addr: SocketAddr, path: String, seen: Arc<Mutex<Seen>>, stop: watch::Receiver<bool>) {
    let mut connection = None;
    while !*stop.borrow() {
        let turn = seen.lock().turn;
        let answer = request(&mut connection, addr, &path).await;
        let mut seen = seen.lock();
        match answer {
            Ok(answer) if answer.status == 200 => seen.bodies.push((turn, answer.text())),
            Ok(answer) => seen.failures.push(format!("{} {}", answer.status, answer.text())),
            Err(error) => {
                seen.failures.push(error.to_string());
                connection = None;
            }
        }
        // A test that has failed need not go on.
        if seen.failures.len() >= MOST_FAILURES {
            return;
        }
    }
}

const MOST_FAILURES: usize = 20;

async fn request(connection: &mut Option<Client>, addr: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut client = match connection.take() {
        Some(client) => client,
        None => {
            let stream = TcpStream::connect(addr).await?;
            stream.set_nodelay(true)?;
            Client::over(Box::new(stream), addr.to_string())
        }
    };
    let answer = client.try_send(call(Method::GET, path)).await?;
    let stays = answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
    *connection = stays.then_some(client);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Script, upstream};

    #[tokio::test]
    async fn answers_are_counted_by_their_bodies() {
        let last = Script::reply("b").header("Connection", "close").closing();
        let app = upstream().route("/", Script::reply("a").then(Script::reply("a")).then(last)).start().await;
        let load = load(app.addr(), "/", 1);
        let count = |body: &str, count| (body.to_owned(), count);
        assert_eq!(load.next(5).await, Tally::from([count("a", 2), count("b", 3)]));
        // Closed in order, as announced: a new connection each time is no failure.
        assert!(app.connections() >= 3);
    }

    #[tokio::test]
    async fn every_answer_of_every_client_is_there_at_the_end() {
        let app = upstream().reply("/", "a").start().await;
        let load = load(app.addr(), "/", 3);
        load.next(20).await;
        let answers = load.finish().await;
        assert_eq!(answers["a"], app.requests().len());
    }

    #[tokio::test]
    #[should_panic(expected = "requests failed")]
    async fn a_request_that_fails_fails_the_test() {
        let app = upstream().route("/", Script::reply("a").then(Script::status(503))).start().await;
        load(app.addr(), "/", 1).next(10).await;
    }
}
