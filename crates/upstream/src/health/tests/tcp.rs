use super::by_hand::{ByHand, Does, kept_port};
use super::{subject, until};

#[tokio::test]
async fn an_open_port_is_enough() {
    let server = ByHand::start(Does::nothing()).await;
    subject(server.address, "health: { type: tcp }").check().await.unwrap();
    until("a connection is made and closed", || server.most_open() == 1 && server.open() == 0).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_closed_port_is_a_failure() {
    let (address, _kept) = kept_port();
    let reason = subject(address, "health: { type: tcp }").check().await.unwrap_err();
    assert_eq!(reason, "connection refused");
}

#[tokio::test]
async fn another_port_may_be_asked() {
    let server = ByHand::start(Does::nothing()).await;
    let health = format!("health: {{ type: tcp, port: {} }}", server.address.port());
    subject("127.0.0.1:1", &health).check().await.unwrap();
}

#[tokio::test]
async fn where_tls_is_spoken_a_port_without_it_is_a_failure() {
    let server = ByHand::start(Does::text("SSH-2.0-OpenSSH_9.6\r\n\r\n")).await;
    let subject = subject(server.address, "tls: { verify: none }, health: { type: tcp, timeout: 200ms }");
    assert!(subject.check().await.is_err());
    until("the connection is closed", || server.open() == 0).await;
}
