//! A name server that says what the test tells it to, and counts the questions.

mod wire;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use self::wire::{Code, Question};

/// The longest question that is read; one over UDP is far shorter.
const QUESTION: usize = 1500;

/// A name server of this test's own, over UDP, on an ephemeral port of loopback. Ends when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    task: JoinHandle<()>,
}

/// One server that an SRV record names (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// Those of a lower number come first.
    pub priority: u16,
    /// The share among those of one priority.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// Its name, which has addresses of its own.
    pub target: String,
}

/// What is known of all names.
#[derive(Debug, Default)]
struct Zone {
    says: HashMap<String, Says>,
    /// The number and the type of each.
    questions: HashMap<String, HashSet<(u16, u16)>>,
}

/// What is said of one name.
#[derive(Debug, Clone)]
enum Says {
    Addresses(Vec<IpAddr>, u32),
    Services(Vec<Srv>, u32),
    NoSuchName,
    ServerFailure,
    Nothing,
}

/// Starts a name server that knows no name.
///
/// Configurations name it as `resolve: { nameserver: … }`. Names are the same in any case, with or without a dot at
/// their end.
pub async fn name_server() -> NameServer {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let addr = socket.local_addr().expect("it is bound");
    let zone = Arc::new(Mutex::new(Zone::default()));
    let task = tokio::spawn(serve(socket, zone.clone()));
    NameServer { addr, zone, task }
}

impl NameServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on `name` has these addresses, IPv4 or IPv6, for `ttl` seconds.
    pub fn addresses(&self, name: &str, addresses: impl IntoIterator<Item = impl Into<IpAddr>>, ttl: u32) {
        self.say(name, Says::Addresses(addresses.into_iter().map(Into::into).collect(), ttl));
    }

    /// From now on `name`, such as `_http._tcp.users.test`, stands for these servers, for `ttl` seconds.
    pub fn services(&self, name: &str, services: impl IntoIterator<Item = Srv>, ttl: u32) {
        self.say(name, Says::Services(services.into_iter().collect(), ttl));
    }

    /// From now on there is no such name (NXDOMAIN).
    pub fn no_such_name(&self, name: &str) {
        self.say(name, Says::NoSuchName);
    }

    /// From now on questions about `name` are answered with SERVFAIL.
    pub fn fails(&self, name: &str) {
        self.say(name, Says::ServerFailure);
    }

    /// From now on questions about `name` get no answer.
    pub fn is_silent(&self, name: &str) {
        self.say(name, Says::Nothing);
    }

    /// How many questions came about `name`, of all types of records. One that is sent again because its answer is late
    /// counts once: it has the number (ID) that it had.
    pub fn questions(&self, name: &str) -> usize {
        self.zone.lock().questions.get(&plain(name)).map_or(0, HashSet::len)
    }

    fn say(&self, name: &str, says: Says) {
        self.zone.lock().says.insert(plain(name), says);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Srv {
    /// The server at `target` and `port`, of priority 0 and weight 1.
    pub fn new(target: impl Into<String>, port: u16) -> Self {
        Self { priority: 0, weight: 1, port, target: target.into() }
    }

    /// The same with this priority.
    #[must_use]
    pub fn priority(self, priority: u16) -> Self {
        Self { priority, ..self }
    }

    /// The same with this weight.
    #[must_use]
    pub fn weight(self, weight: u16) -> Self {
        Self { weight, ..self }
    }
}

impl Zone {
    /// What is said to one question, which is counted.
    fn hear(&mut self, question: &Question<'_>) -> Says {
        let name = plain(&question.name);
        let says = self.says.get(&name).cloned().unwrap_or(Says::NoSuchName);
        self.questions.entry(name).or_default().insert((question.number(), question.kind));
        says
    }
}

/// A name as it is compared (RFC 1035, section 2.3.3).
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

async fn serve(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; QUESTION];
    loop {
        // An error is that of an earlier answer, whose client is gone.
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(question) = buffer.get(..length).and_then(Question::parse) else { continue };
        let says = zone.lock().hear(&question);
        if let Some(answer) = answer(&question, &says) {
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

fn answer(question: &Question<'_>, says: &Says) -> Option<Vec<u8>> {
    Some(match says {
        Says::Addresses(addresses, ttl) => {
            let records = addresses.iter().filter_map(|address| wire::address(address, question.kind));
            question.answer(Code::Fine, records.collect(), *ttl)
        }
        Says::Services(services, ttl) => {
            let records = services.iter().filter(|_| question.kind == wire::SRV).map(wire::service);
            question.answer(Code::Fine, records.collect(), *ttl)
        }
        Says::NoSuchName => question.answer(Code::NoSuchName, Vec::new(), 0),
        Says::ServerFailure => question.answer(Code::ServerFailure, Vec::new(), 0),
        Says::Nothing => return None,
    })
}
