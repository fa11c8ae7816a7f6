//! TLS to targets: whom it trusts, what it shows, and which connections are shared. Against a real TLS server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::support::{build, pick};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tidegate_upstream::Upstreams;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A CA, and files signed by it.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

pub(crate) struct Leaf {
    cert: PathBuf,
    key: PathBuf,
    der: (rustls_pki_types::CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        self.leaf_until(name, (2100, 1, 1))
    }

    fn leaf_until(&self, name: &str, (year, month, day): (i32, u8, u8)) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.path().join(format!("{}.{end}", name.replace(':', "_")));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        let der = (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()));
        Leaf { cert: path("pem"), key: path("key"), der }
    }
}

/// A TLS server that shakes hands and says nothing more.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((tcp, _)) = listener.accept().await {
                // A client that turns away is part of the stories.
                open.extend(acceptor.accept(tcp).await.ok());
            }
        });
        Self { address, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) const ALL: &[&SupportedProtocolVersion] = rustls::ALL_VERSIONS;

pub(crate) fn server(
    leaf: &Leaf,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let (cert, key) = (leaf.der.0.clone(), leaf.der.1.clone_key());
    builder.with_single_cert(vec![cert], key).unwrap()
}

fn upstreams(address: impl std::fmt::Display, tls: &str) -> Upstreams {
    build(&format!("app: {{ targets: [\"{address}\"], tls: {tls} }}")).unwrap()
}

fn peer(address: impl std::fmt::Display, tls: &str) -> Box<HttpPeer> {
    pick(upstreams(address, tls).get("app").unwrap()).peer()
}

async fn connects(peer: &HttpPeer) -> bool {
    Connector::<()>::new(None).get_http_session(peer).await.is_ok()
}

#[tokio::test]
async fn only_a_certificate_of_the_given_ca_and_name_is_trusted() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let target = Server::start(server(&ours.leaf("app.test"), ALL, None)).await;
    let tls = |ca: &Authority, more: &str| format!("{{ ca: {}{more} }}", ca.ca().display());

    assert!(connects(&peer(target.address, &tls(&ours, ", sni: app.test"))).await);
    assert!(!connects(&peer(target.address, &tls(&theirs, ", sni: app.test"))).await, "a CA of others");
    assert!(!connects(&peer(target.address, &tls(&ours, ", sni: other.test"))).await, "a name of others");
    assert!(!connects(&peer(target.address, &tls(&ours, ""))).await, "not made for its address");
    assert!(!connects(&peer(target.address, "{ sni: app.test }")).await, "not known to the system");
    assert!(connects(&peer(target.address, "{ verify: none }")).await, "told not to verify");
}

#[tokio::test]
async fn an_expired_certificate_is_not_trusted() {
    let ours = Authority::new();
    let target = Server::start(server(&ours.leaf_until("app.test", (2001, 1, 1)), ALL, None)).await;
    assert!(!connects(&peer(target.address, &format!("{{ ca: {}, sni: app.test }}", ours.ca().display()))).await);
}

#[tokio::test]
async fn a_target_that_is_an_address_is_verified_by_its_address() {
    let ours = Authority::new();
    let target = Server::start(server(&ours.leaf("127.0.0.1"), ALL, None)).await;
    assert!(connects(&peer(target.address, &format!("{{ ca: {} }}", ours.ca().display()))).await);
}

#[tokio::test]
async fn the_client_certificate_is_shown_to_a_target_that_asks() {
    let ours = Authority::new();
    let client = ours.leaf("gateway");
    // TLS 1.2: in 1.3 the client is done before the server has looked at its certificate.
    let target = Server::start(server(&ours.leaf("app.test"), &[&rustls::version::TLS12], Some(&ours))).await;
    let with = format!(
        "{{ ca: {}, sni: app.test, certificate: {{ cert: {}, key: {} }} }}",
        ours.ca().display(),
        client.cert.display(),
        client.key.display()
    );
    let without = format!("{{ ca: {}, sni: app.test }}", ours.ca().display());

    assert!(connects(&peer(target.address, &with)).await);
    assert!(!connects(&peer(target.address, &without)).await);
}

#[tokio::test]
async fn a_tls_version_below_the_minimum_is_noticed() {
    let ours = Authority::new();
    let leaf = ours.leaf("app.test");
    let old = Server::start(server(&leaf, &[&rustls::version::TLS12], None)).await;
    let new = Server::start(server(&leaf, ALL, None)).await;
    for (target, minimum, fine) in [(&old, "1.2", true), (&old, "1.3", false), (&new, "1.3", true)] {
        let tls = format!("{{ ca: {}, sni: app.test, min_version: \"{minimum}\" }}", ours.ca().display());
        let picked = pick(upstreams(target.address, &tls).get("app").unwrap());
        let (session, _) = Connector::<()>::new(None).get_http_session(&*picked.peer()).await.unwrap();

        assert_eq!(picked.check_tls(session.digest()).is_ok(), fine, "{minimum}");
        assert_eq!(picked.check_tls(None).is_ok(), minimum == "1.2", "nothing known of the connection");
    }
}

#[tokio::test]
async fn auto_takes_http2_where_it_is_offered_but_not_for_an_upgrade() {
    let ours = Authority::new();
    let mut config = server(&ours.leaf("app.test"), ALL, None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let target = Server::start(config).await;
    let tls = format!("{{ ca: {}, sni: app.test }}, protocol: auto", ours.ca().display());
    let picked = pick(upstreams(target.address, &tls).get("app").unwrap());
    assert_eq!(picked.peer().options.alpn, ALPN::H2H1);

    let peer = picked.peer_for_upgrade();
    let (session, _) = Connector::<()>::new(None).get_http_session(&*peer).await.unwrap();

    assert!(session.as_http1().is_some());
    assert_ne!(peer.reuse_hash(), picked.peer().reuse_hash());
}

#[test]
fn connections_are_shared_only_between_equal_tls_settings() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (one, other) = (ours.leaf("one"), ours.leaf("other"));
    let ca = |authority: &Authority| format!("ca: {}", authority.ca().display());
    let certificate =
        |leaf: &Leaf| format!("certificate: {{ cert: {}, key: {} }}", leaf.cert.display(), leaf.key.display());
    let settings = [
        "{}".to_owned(),
        "{ verify: none }".to_owned(),
        "{ sni: app.test }".to_owned(),
        "{ min_version: \"1.3\" }".to_owned(),
        format!("{{ {} }}", ca(&ours)),
        format!("{{ {} }}", ca(&theirs)),
        format!("{{ {} }}", certificate(&one)),
        format!("{{ {} }}", certificate(&other)),
        "{}, protocol: h2".to_owned(),
        "{}, protocol: auto".to_owned(),
        "{}, h2: { max_streams: 7 }".to_owned(),
    ];
    let hashes: Vec<_> = settings.iter().map(|tls| peer("10.0.0.1:443", tls).reuse_hash()).collect();
    for (a, hash) in hashes.iter().enumerate() {
        assert_eq!(*hash, peer("10.0.0.1:443", &settings[a]).reuse_hash(), "{} is equal to itself", settings[a]);
        for (b, other) in hashes.iter().enumerate().skip(a + 1) {
            assert_ne!(hash, other, "{} and {}", settings[a], settings[b]);
        }
    }
}

#[test]
fn other_timeouts_keep_the_connections() {
    let hash = |more: &str| peer("10.0.0.1:443", &format!("{{}}{more}")).reuse_hash();
    assert_eq!(hash(""), hash(", timeouts: { read: 1s }"));
}

#[tokio::test]
async fn the_server_name_is_never_empty() {
    let upstreams = build(
        "app: { targets: [\"10.0.0.1:443\", \"[2001:db8::1]:443\", \"localhost:443\"], tls: {} }

socket: { targets: [\"unix:/run/app.sock\"], tls: { sni: app.test } }

plain: { targets: [\"unix:/run/app.sock\", \"10.0.0.1:80\"] }",
    )
    .unwrap();
    upstreams.prepare(std::time::Duration::from_secs(20)).await;
    let names = |pool: &str, n| -> Vec<_> {
        (0..n)
            .map(|_| pick(upstreams.get(pool).unwrap()).peer())
            .map(|peer| (peer.sni.clone(), peer.is_tls()))
            .collect()
    };
    let tls = |name: &str| (name.to_owned(), true);
    assert_eq!(names("app", 3), [tls("10.0.0.1"), tls("2001:db8::1"), tls("localhost")]);
    assert_eq!(names("socket", 1), [tls("app.test")]);
    assert!(names("plain", 2).iter().all(|(name, tls)| !name.is_empty() && !tls));
}

#[test]
fn a_renewed_certificate_under_the_same_name_makes_a_new_pool() {
    let ours = Authority::new();
    let yaml = format!("app: {{ targets: [\"10.0.0.1:443\"], tls: {{ ca: {} }} }}", ours.ca().display());
    let before = build(&yaml).unwrap();
    let again = crate::support::build_after(&yaml, Some(&before)).unwrap();
    assert!(Arc::ptr_eq(again.get("app").unwrap(), before.get("app").unwrap()));

    std::fs::copy(Authority::new().ca(), ours.ca()).unwrap();
    let after = crate::support::build_after(&yaml, Some(&before)).unwrap();

    assert!(!Arc::ptr_eq(after.get("app").unwrap(), before.get("app").unwrap()));
}

#[test]
fn files_that_cannot_be_used_are_refused_at_load() {
    let ours = Authority::new();
    let (one, other) = (ours.leaf("one"), ours.leaf("other"));
    let junk = ours.folder.path().join("junk.pem");
    std::fs::write(&junk, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let empty = ours.folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let certificate = |cert: &PathBuf, key: &PathBuf| {
        format!("{{ certificate: {{ cert: {}, key: {} }} }}", cert.display(), key.display())
    };
    for (tls, place) in [
        (format!("{{ ca: {} }}", junk.display()), "app.tls.ca"),
        (format!("{{ ca: {} }}", empty.display()), "app.tls.ca"),
        (format!("{{ ca: {} }}", one.key.display()), "app.tls.ca"),
        (format!("{{ ca: {} }}", ours.folder.path().display()), "app.tls.ca"),
        (format!("{{ verify: none, ca: {} }}", ours.ca().display()), "app.tls.ca"),
        (certificate(&junk, &one.key), "app.tls.certificate.cert"),
        (certificate(&one.cert, &junk), "app.tls.certificate.key"),
        (certificate(&one.cert, &other.key), "app.tls.certificate"),
    ] {
        let errors = build(&format!("app: {{ targets: [\"10.0.0.1:443\"], tls: {tls} }}")).expect_err(&tls);
        let places: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
        assert_eq!(places, [place], "{errors}");
    }
}
