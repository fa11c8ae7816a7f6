use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tidegate_core::config::Duration;
use tidegate_listener::{CertificateConfig, CloseReason, Listener, ListenerConfig, Protocol, TlsConfig, TlsVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Client;
use crate::fixture::{Fixture, config, within};
use crate::http2::Http2;

/// Certificates for these names, each signed by itself.
struct Certificates {
    _dir: TempDir,
    files: Vec<CertificateConfig>,
    roots: RootCertStore,
}

impl Certificates {
    fn new(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut roots = RootCertStore::empty();
        let files = names.iter().enumerate().map(|(index, name)| {
            let made = rcgen::generate_simple_self_signed([(*name).to_owned()]).unwrap();
            roots.add(made.cert.der().clone()).unwrap();
            let write = |what: &str, text: String| {
                let path = dir.path().join(format!("{index}.{what}"));
                std::fs::write(&path, text).unwrap();
                path
            };
            CertificateConfig {
                cert: write("pem", made.cert.pem()),
                key: write("key", made.signing_key.serialize_pem()),
            }
        });
        let files = files.collect();
        Self { _dir: dir, files, roots }
    }

    fn config(&self) -> ListenerConfig {
        let tls = TlsConfig {
            certificates: self.files.clone(),
            min_version: TlsVersion::Tls12,
            handshake_timeout: Duration::from_secs(10),
            client_auth: None,
        };
        ListenerConfig { tls: Some(tls), ..config() }
    }

    fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }
}

async fn connect(fixture: &Fixture, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(fixture.addr()).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within("the handshake", TlsConnector::from(config.clone()).connect(name, socket)).await
}

fn certificate(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn http_1_over_tls_serves_many_requests() {
    let certificates = Certificates::new(&["a.test"]);
    let fixture = Fixture::start(&certificates.config());
    let config = Arc::new(certificates.client(&[]));
    let mut client = Client(connect(&fixture, &config, "a.test").await.unwrap());
    for _ in 0..3 {
        assert_eq!(client.get("/hello").await.text(), "hello");
    }
    assert_eq!(client.get("/big").await.body.len(), crate::app::BIG);
    let body = "x".repeat(300_000);
    client.send(&format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    assert_eq!(client.response().await.text(), "300000");
    let about = client.get("/conn").await;
    assert!(about.text().contains("sni=a.test version=TLSv1.3 resumed=false"), "{}", about.text());
}

#[tokio::test]
async fn http_2_is_chosen_by_alpn() {
    let certificates = Certificates::new(&["a.test"]);
    let fixture = Fixture::start(&certificates.config());
    let config = Arc::new(certificates.client(&[b"h2", b"http/1.1"]));
    let stream = connect(&fixture, &config, "a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = Http2::over(stream).await;
    assert_eq!(client.get("/hello").await, (200, "hello".into()));
    assert_eq!(client.get("/big").await.1.len(), crate::app::BIG);
    let (_, about) = client.get("/conn").await;
    assert!(about.windows(10).any(|window| window == b"sni=a.test"), "{about:?}");
}

#[tokio::test]
async fn only_the_protocols_that_are_on_are_offered() {
    let certificates = Certificates::new(&["a.test"]);
    let fixture = Fixture::start(&ListenerConfig { protocols: Some(vec![Protocol::Http1]), ..certificates.config() });
    let config = Arc::new(certificates.client(&[b"h2", b"http/1.1"]));
    let stream = connect(&fixture, &config, "a.test").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(Client(stream).get("/hello").await.status, 200);
}

#[tokio::test]
async fn the_certificate_is_the_one_of_the_name() {
    let certificates = Certificates::new(&["first.test", "b.test", "*.c.test"]);
    let fixture = Fixture::start(&certificates.config());
    let config = Arc::new(certificates.client(&[]));
    let mut seen = Vec::new();
    for name in ["first.test", "b.test", "x.c.test", "Y.C.TEST"] {
        let stream = connect(&fixture, &config, name).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        seen.push(certificate(&stream));
        assert_eq!(Client(stream).get("/hello").await.status, 200, "{name}");
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[2], seen[3]);
    // Nobody's name gets the first certificate, which the client then refuses.
    for name in ["z.test", "x.y.c.test", "c.test"] {
        let error = connect(&fixture, &config, name).await.unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_session_is_resumed() {
    let certificates = Certificates::new(&["a.test"]);
    let fixture = Fixture::start(&certificates.config());
    let config = Arc::new(certificates.client(&[]));
    let mut first = Client(connect(&fixture, &config, "a.test").await.unwrap());
    // The tickets come with the first bytes of an answer.
    assert_eq!(first.get("/hello").await.status, 200);
    let mut second = Client(connect(&fixture, &config, "a.test").await.unwrap());
    assert!(second.get("/conn").await.text().contains("resumed=true"));
}

#[tokio::test]
async fn a_client_below_the_lowest_version_is_refused() {
    let certificates = Certificates::new(&["a.test"]);
    let mut listener = certificates.config();
    listener.tls.as_mut().unwrap().min_version = TlsVersion::Tls13;
    let fixture = Fixture::start(&listener);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let old = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    let old = Arc::new(old.with_root_certificates(certificates.roots.clone()).with_no_client_auth());
    assert!(connect(&fixture, &old, "a.test").await.is_err());
    fixture.seen.until_closed(CloseReason::HandshakeFailed).await;
    assert_eq!(fixture.seen.now().handshakes_failed, 1);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut() {
    let certificates = Certificates::new(&["a.test"]);
    let mut listener = certificates.config();
    listener.tls.as_mut().unwrap().handshake_timeout = Duration::from_millis(200);
    let fixture = Fixture::start(&listener);
    let mut client = fixture.connect().await;
    client.send("\u{16}\u{3}").await;
    client.gone().await;
    fixture.seen.until_closed(CloseReason::HandshakeTimeout).await;
    assert_eq!(fixture.seen.now().handshakes_failed, 0);
}

#[tokio::test]
async fn a_trickled_head_is_answered_with_408_over_tls_too() {
    let certificates = Certificates::new(&["a.test"]);
    let fixture = Fixture::start(&ListenerConfig { head_timeout: Duration::from_millis(300), ..certificates.config() });
    let config = Arc::new(certificates.client(&[]));
    let mut client = Client(connect(&fixture, &config, "a.test").await.unwrap());
    client.send("GET / HTTP/1.1\r\nHost").await;
    assert_eq!(client.response().await.status, 408);
    assert_eq!(client.rest().await, "", "a close without close_notify would be an error");
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_a_close_notify() {
    let certificates = Certificates::new(&["a.test"]);
    let fixture = Fixture::start(&ListenerConfig { idle_timeout: Duration::from_millis(300), ..certificates.config() });
    let config = Arc::new(certificates.client(&[]));
    let mut client = Client(connect(&fixture, &config, "a.test").await.unwrap());
    assert_eq!(client.get("/hello").await.status, 200);
    assert_eq!(client.rest().await, "");
    fixture.seen.until_closed(CloseReason::Idle).await;
}

#[test]
fn broken_certificates_are_all_reported_and_no_key_is_shown() {
    let mut certificates = Certificates::new(&["a.test", "b.test"]);
    let dir = certificates.files[0].cert.parent().unwrap().to_owned();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [a, b] = [certificates.files[0].clone(), certificates.files[1].clone()];
    let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0!!\n-----END PRIVATE KEY-----\n";
    certificates.files = vec![
        CertificateConfig { cert: "/no/such/file.pem".into(), key: a.key.clone() },
        CertificateConfig { cert: file("empty.pem", ""), key: file("broken.key", broken) },
        CertificateConfig { cert: a.cert.clone(), key: b.key.clone() },
        CertificateConfig { cert: a.cert, key: b.cert },
    ];
    let errors = Listener::check(&certificates.config()).unwrap_err().to_string();
    let says = |path: &str, what: &str| {
        assert!(errors.contains(&format!("tls.certificates{path}: ")), "{path} in {errors}");
        assert!(errors.contains(what), "{what} in {errors}");
    };
    says("[0].cert", "/no/such/file.pem: can't be read: No such file");
    says("[1].cert", "there is no certificate in it");
    says("[1].key", "broken.key: is not valid PEM");
    says("[2].key", "does not go with");
    says("[3].key", "there is no private key in it");
    assert!(!errors.contains("c2VjcmV0"), "{errors}");
    assert!(Path::new(&dir).exists());
}

#[test]
fn a_tls_listener_needs_a_certificate() {
    let mut certificates = Certificates::new(&[]);
    certificates.files.clear();
    let errors = Listener::check(&certificates.config()).unwrap_err().to_string();
    assert!(errors.starts_with("tls.certificates: a TLS listener needs a certificate"), "{errors}");
}
