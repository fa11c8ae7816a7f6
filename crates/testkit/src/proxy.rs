//! A network between a client and a server, as slow and as bad as a test wants it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Passes bytes between clients and one server. Ends when it is dropped.
#[derive(Debug)]
pub struct SlowProxy {
    addr: SocketAddr,
    network: Arc<Network>,
    accept: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Network {
    server: SocketAddr,
    late: Mutex<Late>,
    garbage: Mutex<Option<Bytes>>,
    accepted: AtomicUsize,
    turns: AtomicUsize,
    connections: Mutex<JoinSet<()>>,
}

/// Which answers are late, and by how much.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// So many of each connection are not.
    after: usize,
    delay: Duration,
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Talk {
    /// Whether the client spoke last.
    asked: AtomicBool,
    turns: AtomicUsize,
}

/// A proxy before `server` that passes the server's answers on after `delay`.
pub async fn slow_proxy(server: SocketAddr, delay: Duration) -> SlowProxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let addr = listener.local_addr().expect("it is bound");
    let network = Arc::new(Network {
        server,
        late: Mutex::new(Late { after: 0, delay }),
        garbage: Mutex::default(),
        accepted: AtomicUsize::new(0),
        turns: AtomicUsize::new(0),
        connections: Mutex::default(),
    });
    let accept = tokio::spawn(accept(listener, network.clone()));
    SlowProxy { addr, network, accept }
}

impl SlowProxy {
    /// Where clients find it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes the delay, also of connections that are open.
    pub fn delay(&self, delay: Duration) {
        self.delay_after(0, delay);
    }

    /// The same, but what the server says in each connection's first `turns` round trips is passed on at once: it lets
    /// its clients in, and is slow when they ask for more.
    pub fn delay_after(&self, turns: usize, delay: Duration) {
        *self.network.late.lock() = Late { after: turns, delay };
    }

    /// From now on clients get `garbage` in place of each answer; `None`: what the server says.
    pub fn garble(&self, garbage: Option<&'static [u8]>) {
        *self.network.garbage.lock() = garbage.map(Bytes::from_static);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.network.connections.lock().abort_all();
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> usize {
        self.network.accepted.load(Ordering::SeqCst)
    }

    /// How often a client spoke after the server did, or as the first: the number of round trips, if there is only one
    /// request at a time.
    pub fn turns(&self) -> usize {
        self.network.turns.load(Ordering::SeqCst)
    }
}

impl Drop for SlowProxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, network: Arc<Network>) {
    while let Ok((client, _)) = listener.accept().await {
        network.accepted.fetch_add(1, Ordering::SeqCst);
        let pass = pass(client, network.clone());
        network.connections.lock().spawn(pass);
    }
}

async fn pass(client: TcpStream, network: Arc<Network>) {
    // A server that can't be reached closes what is connected to it.
    let Ok(server) = TcpStream::connect(network.server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let talk = Talk::default();
    tokio::select! {
        () = questions(from_client, to_server, &network, &talk) => {}
        () = answers(from_server, to_client, &network, &talk) => {}
    }
}

async fn questions(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, network: &Network, talk: &Talk) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        if !talk.asked.swap(true, Ordering::SeqCst) {
            talk.turns.fetch_add(1, Ordering::SeqCst);
            network.turns.fetch_add(1, Ordering::SeqCst);
        }
        if server.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Late, but not one after the other: what comes in meanwhile is late by the same time.
async fn answers(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, network: &Network, talk: &Talk) {
    let (sender, mut late) = mpsc::unbounded_channel::<(Instant, Bytes)>();
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = server.read(&mut buffer).await {
            talk.asked.store(false, Ordering::SeqCst);
            let answer = network.garbage.lock().clone().unwrap_or_else(|| Bytes::copy_from_slice(&buffer[..length]));
            let late = *network.late.lock();
            let is_late = talk.turns.load(Ordering::SeqCst) > late.after;
            let due = Instant::now() + if is_late { late.delay } else { Duration::ZERO };
            if sender.send((due, answer)).is_err() {
                return;
            }
        }
        drop(sender);
    };
    let write = async {
        while let Some((due, answer)) = late.recv().await {
            sleep_until(due).await;
            if client.write_all(&answer).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, upstream};

    #[tokio::test]
    async fn answers_are_late_garbled_and_cut_as_it_is_told() {
        let server = upstream().reply("/", "hello").start().await;
        let network = slow_proxy(server.addr(), Duration::from_millis(100)).await;
        let mut client = Client::connect(network.addr()).await;
        let begun = Instant::now();
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.bytes(12).await, "HTTP/1.1 200");
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
        assert_eq!((network.accepted(), network.turns()), (1, 1));
        network.delay_after(1, Duration::from_secs(60));
        let mut client = Client::connect(network.addr()).await;
        client.get("/").await.expect(200);
        assert!(tokio::time::timeout(Duration::from_millis(50), client.get("/")).await.is_err());
        network.delay(Duration::ZERO);
        network.garble(Some(b"nonsense"));
        let mut client = Client::connect(network.addr()).await;
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.bytes(8).await, "nonsense");
        network.cut();
        assert!(client.until_closed().await.is_empty());
    }
}
