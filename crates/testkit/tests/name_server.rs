//! The kit's name server, asked by a resolver that servers use.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use tidegate_testkit::{NameServer, Srv, name_server, within};
use tokio::net::UdpSocket;

/// Longer than any answer takes on a busy machine.
const LONG: Duration = Duration::from_secs(10);

fn resolver(server: &NameServer, timeout: Duration) -> TokioResolver {
    let mut connection = ConnectionConfig::new(ProtocolConfig::Udp);
    connection.port = server.addr().port();
    let server = NameServerConfig::new(server.addr().ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    (options.cache_size, options.attempts, options.timeout) = (0, 1, timeout);
    builder.build().unwrap()
}

/// The data and the TTLs of an answer.
async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> Result<Vec<(RData, u32)>, NetError> {
    let answer = resolver.lookup(name, kind).await?;
    Ok(answer.answers().iter().map(|record| (record.data.clone(), record.ttl)).collect())
}

#[tokio::test]
async fn a_name_has_the_addresses_it_was_given_last() {
    let server = name_server().await;
    let resolver = resolver(&server, LONG);
    let addresses = async |kind| ask(&resolver, "Users.test.", kind).await.unwrap();
    server.addresses("users.test", [IpAddr::from([10, 0, 0, 1]), Ipv6Addr::LOCALHOST.into()], 30);
    assert_eq!(addresses(RecordType::A).await, [(RData::A(Ipv4Addr::new(10, 0, 0, 1).into()), 30)]);
    assert_eq!(addresses(RecordType::AAAA).await, [(RData::AAAA(Ipv6Addr::LOCALHOST.into()), 30)]);
    server.addresses("users.test", [Ipv4Addr::new(10, 0, 0, 2)], 1);
    assert_eq!(addresses(RecordType::A).await, [(RData::A(Ipv4Addr::new(10, 0, 0, 2).into()), 1)]);
    assert_eq!((server.questions("users.test"), server.questions("other.test")), (3, 0));
}

#[tokio::test]
async fn a_service_names_its_servers() {
    let server = name_server().await;
    let resolver = resolver(&server, LONG);
    server.services("_http._tcp.users.test", [Srv::new("a.test", 81).priority(1).weight(5), Srv::new("b.test", 82)], 7);
    let found = ask(&resolver, "_http._tcp.users.test.", RecordType::SRV).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(data, ttl)| (data.to_string(), ttl)).collect();
    assert_eq!(found, [("1 5 81 a.test.".to_owned(), 7), ("0 1 82 b.test.".to_owned(), 7)]);
}

#[tokio::test]
async fn names_are_missing_and_servers_fail() {
    let server = name_server().await;
    let resolver = resolver(&server, LONG);
    server.addresses("users.test", [Ipv4Addr::LOCALHOST], 30);
    let missing = async |name| matches!(ask(&resolver, name, RecordType::A).await, Err(error) if error.is_nx_domain());
    assert!(!missing("users.test.").await);
    assert!(missing("unknown.test.").await);
    server.fails("users.test");
    assert!(ask(&resolver, "users.test.", RecordType::A).await.is_err_and(|error| !error.is_nx_domain()));
    server.no_such_name("users.test");
    assert!(missing("users.test.").await);
    server.is_silent("users.test");
    let resolver = self::resolver(&server, Duration::from_millis(100));
    let error = ask(&resolver, "users.test.", RecordType::A).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout), "{error:?}");
}

#[tokio::test]
async fn a_question_that_is_sent_again_counts_once() {
    let server = name_server().await;
    let resolver = resolver(&server, LONG);
    let asked = ask(&resolver, "users.test.", RecordType::A);
    server.is_silent("users.test");
    // The resolver sends it again after a third of a second.
    assert!(tokio::time::timeout(Duration::from_secs(1), asked).await.is_err());
    assert_eq!(server.questions("users.test"), 1);

    // Number, type, and how many there are then.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for (number, kind, count) in [(7, 1, 1), (7, 1, 1), (8, 1, 2), (7, 28, 3)] {
        let question = [&[0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &b"\x05again\x04test\0\0"[..], &[kind, 0, 1]];
        socket.send_to(&question.concat(), server.addr()).await.unwrap();
        within("the answer", socket.recv(&mut [0; 512])).await.unwrap();
        assert_eq!(server.questions("again.test"), count);
    }
}
