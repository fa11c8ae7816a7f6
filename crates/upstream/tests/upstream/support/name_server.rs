//! A name server that says the same about every name, and counts the questions.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What it says.
#[derive(Clone)]
pub(crate) enum Says {
    Addresses(Vec<IpAddr>, u32),
    /// SRV records, and one address for all they name.
    Services(Vec<Service>, IpAddr, u32),
    NoSuchName,
    ServerFailure,
    Nothing,
}

/// An SRV record: priority, weight, port, target.
pub(crate) type Service = (u16, u16, u16, &'static str);

impl Says {
    pub(crate) fn v4(address: [u8; 4], ttl: u32) -> Self {
        Self::Addresses(vec![IpAddr::from(address)], ttl)
    }
}

/// The number (ID) and the text of each. A question that is sent again because its answer is late has the same.
type Questions = Arc<Mutex<HashSet<Vec<u8>>>>;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    says: Arc<Mutex<Says>>,
    questions: Questions,
    task: JoinHandle<()>,
}

impl NameServer {
    pub(crate) async fn start(says: Says) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (says, questions) = (Arc::new(Mutex::new(says)), Questions::default());
        let task = tokio::spawn(serve(socket, says.clone(), questions.clone()));
        Self { address, says, questions, task }
    }

    pub(crate) fn now_says(&self, says: Says) {
        *self.says.lock() = says;
    }

    /// How many questions came. One that is sent again counts once.
    pub(crate) fn questions(&self) -> usize {
        self.questions.lock().len()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, says: Arc<Mutex<Says>>, questions: Questions) {
    let mut buffer = [0; 1500];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        questions.lock().insert([&buffer[..2], &buffer[HEADER.min(length)..length]].concat());
        let says = says.lock().clone();
        if let Some(answer) = answer(&buffer[..length], &says) {
            socket.send_to(&answer, client).await.unwrap();
        }
    }
}

const HEADER: usize = 12;
const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// RFC 1035, section 4.
fn answer(query: &[u8], says: &Says) -> Option<Vec<u8>> {
    let name_length = query[HEADER..].iter().position(|byte| *byte == 0)? + 1;
    let question = &query[HEADER..HEADER + name_length + 4];
    let kind = u16::from_be_bytes([question[name_length], question[name_length + 1]]);
    let (code, records, ttl) = match says {
        Says::Addresses(addresses, ttl) => (0, of_kind(addresses, kind), *ttl),
        Says::Services(services, _, ttl) if kind == SRV => (0, services.iter().map(srv).collect(), *ttl),
        Says::Services(_, address, ttl) => (0, of_kind(&[*address], kind), *ttl),
        Says::NoSuchName => (3, Vec::new(), 0),
        Says::ServerFailure => (2, Vec::new(), 0),
        Says::Nothing => return None,
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for record in records {
        answer.extend([0xc0, HEADER as u8]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend((record.len() as u16).to_be_bytes());
        answer.extend(record);
    }
    Some(answer)
}

/// RFC 2782.
fn srv((priority, weight, port, target): &Service) -> Vec<u8> {
    let mut record: Vec<u8> = [priority, weight, port].iter().flat_map(|number| number.to_be_bytes()).collect();
    for label in target.split('.').filter(|label| !label.is_empty()) {
        record.push(label.len() as u8);
        record.extend(label.as_bytes());
    }
    record.push(0);
    record
}

fn of_kind(addresses: &[IpAddr], kind: u16) -> Vec<Vec<u8>> {
    let record = |address: &IpAddr| match address {
        IpAddr::V4(v4) if kind == A => Some(v4.octets().to_vec()),
        IpAddr::V6(v6) if kind == AAAA => Some(v6.octets().to_vec()),
        _ => None,
    };
    addresses.iter().filter_map(record).collect()
}
