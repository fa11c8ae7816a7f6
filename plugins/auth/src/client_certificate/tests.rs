use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, SanType, SerialNumber,
    date_time_ymd,
};
use tidegate_core::{HeaderMap, Method, RequestHead, Scheme, TlsInfo};

use super::*;

fn params(common: &[&str], names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for name in common {
        params.distinguished_name.push(DnType::CommonName, *name);
    }
    params.subject_alt_names = names;
    params.serial_number = Some(SerialNumber::from(0x1234_u64));
    (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 1), date_time_ymd(2026, 1, 1));
    params
}

fn certificate(params: CertificateParams) -> Arc<[u8]> {
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").der().as_ref().into()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("a URI"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("a name"))
}

fn connection(certificate: Option<&Arc<[u8]>>) -> Connection {
    let tls = TlsInfo {
        sni: None,
        version: "TLSv1.3",
        cipher: "x".into(),
        key_exchange: None,
        alpn: None,
        client_certificate: certificate.cloned(),
        resumed: false,
    };
    Connection { listener: "main".into(), peer: None, local: None, tls: Some(tls) }
}

/// 2025-06-01.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_748_736_000)
}

fn ask(provider: &ClientCertificate, connection: &Connection, now: SystemTime) -> Verdict {
    let headers = HeaderMap::new();
    let head = RequestHead {
        method: &Method::GET,
        authority: "a.test",
        path: "/",
        query: None,
        headers: &headers,
        client: IpAddr::from([192, 0, 2, 1]),
        scheme: Scheme::Https,
        listener: "main",
    };
    provider.at_once(&Asking { head, connection, now }).expect("at once")
}

fn provider(config: Config) -> ClientCertificate {
    ClientCertificate::new(&config, "mtls", &Clock::system()).expect("a provider")
}

fn who(config: Config, params: CertificateParams) -> Result<String, Reason> {
    match ask(&provider(config), &connection(Some(&certificate(params))), now()) {
        Verdict::Proved(proved) => Ok(proved.identity.subject().to_owned()),
        Verdict::Refused(refusal) => Err(refusal.reason),
        other => panic!("{other:?}"),
    }
}

fn only(part: NamePart) -> Config {
    Config { subject: vec![part], ..Config::default() }
}

#[test]
fn the_first_name_that_the_certificate_has_counts() {
    let both = || vec![dns("a.test"), uri("spiffe://x/a"), uri("spiffe://x/b")];
    for (config, params, found) in [
        (Config::default(), params(&["anna"], both()), Ok("spiffe://x/a")),
        (Config::default(), params(&["anna"], vec![dns("a.test"), dns("b.test")]), Ok("a.test")),
        (Config::default(), params(&["anna"], vec![]), Ok("anna")),
        (
            Config::default(),
            params(&["anna"], vec![SanType::Rfc822Name("a@a.test".try_into().expect("an address"))]),
            Ok("a@a.test"),
        ),
        (only(NamePart::Cn), params(&["anna"], both()), Ok("anna")),
        (only(NamePart::SanUri), params(&["anna"], vec![dns("a.test")]), Err(Reason::Claims)),
        (Config::default(), params(&[], vec![]), Err(Reason::Claims)),
    ] {
        assert_eq!(who(config, params), found.map(str::to_owned));
    }
}

#[test]
fn a_name_that_could_be_read_in_two_ways_is_refused() {
    for common in ["anna\0.evil", "an\nna", "\u{7f}"] {
        assert_eq!(who(Config::default(), params(&[common], vec![])), Err(Reason::Claims), "{common:?}");
    }
    let long = "a".repeat(513);
    assert_eq!(who(Config::default(), params(&[&long], vec![])), Err(Reason::Claims));
    // subjectAltName that is none.
    let mut broken = params(&["anna"], vec![]);
    broken.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 0x05, 0x86])];
    assert!(who(Config::default(), broken).is_err());
}

#[test]
fn a_distinguished_name_is_written_as_the_rfc_says() {
    let mut params = params(&[], vec![]);
    let name = &mut params.distinguished_name;
    name.push(DnType::CountryName, DnValue::PrintableString("DE".try_into().expect("letters")));
    name.push(DnType::OrganizationName, "A, \"B\" + C\\");
    name.push(DnType::from_oid(&[1, 2, 3, 4]), "x");
    name.push(DnType::CommonName, " #anna ");
    let dn = "CN=\\ #anna\\ ,1.2.3.4=#0c0178,O=A\\, \\\"B\\\" \\+ C\\\\,C=DE";
    assert_eq!(who(only(NamePart::Dn), params), Ok(dn.to_owned()));
}

#[test]
fn roles_belong_to_subjects_and_only_those_allowed_are_taken() {
    let config = || Config {
        roles: BTreeMap::from([("spiffe://x/a".into(), vec!["reader".into()])]),
        scopes: BTreeMap::from([("spiffe://x/a".into(), vec!["read".into()])]),
        allow: vec!["spiffe://x/*".into(), "ben".into()],
        ..Config::default()
    };
    let certificate = certificate(params(&[], vec![uri("spiffe://x/a")]));
    let Verdict::Proved(proved) = ask(&provider(config()), &connection(Some(&certificate)), now()) else {
        panic!("not proved")
    };
    let identity = &proved.identity;
    assert!(identity.has_role("reader") && identity.has_scope("read"));
    assert_eq!((identity.proof(), identity.provider()), (Proof::ClientCertificate, "mtls"));
    assert_eq!(identity.claim("serial"), Some(&Value::from("1234")));
    assert!(proved.mark.is_none());
    for (params, found) in [
        (params(&["ben"], vec![]), Ok("ben")),
        (params(&["benno"], vec![]), Err(Reason::Unknown)),
        (params(&[], vec![uri("spiffe://y/a")]), Err(Reason::Unknown)),
    ] {
        assert_eq!(who(config(), params), found.map(str::to_owned));
    }
}

#[test]
fn a_connection_without_a_certificate_carries_nothing_and_one_that_outlives_it_is_refused() {
    let provider = provider(Config::default());
    assert!(matches!(ask(&provider, &connection(None), now()), Verdict::Nothing));
    let plain = Connection { tls: None, ..connection(None) };
    assert!(matches!(ask(&provider, &plain, now()), Verdict::Nothing));
    let connection = connection(Some(&certificate(params(&["anna"], vec![]))));
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (now, reason) in [
        (at(1_735_689_599), Some(Reason::NotYetValid)),
        (at(1_735_689_600), None),
        (at(1_767_225_599), None),
        (at(1_767_225_600), Some(Reason::Expired)),
    ] {
        match (ask(&provider, &connection, now), reason) {
            (Verdict::Proved(proved), None) => assert_eq!(proved.identity.expires(), Some(at(1_767_225_600))),
            (Verdict::Refused(refusal), Some(reason)) => assert_eq!(refusal.reason, reason),
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_remembered_is_of_this_connection_and_no_other() {
    let provider = provider(Config::default());
    for round in 0..200 {
        // A connection ends, and the next one's certificate may stand where its was.
        let name = format!("user-{round}");
        let connection = connection(Some(&certificate(params(&[&name], vec![]))));
        for _ in 0..2 {
            let Verdict::Proved(proved) = ask(&provider, &connection, now()) else { panic!("not proved") };
            assert_eq!(proved.identity.subject(), name);
        }
    }
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let good = certificate(params(&["anna"], vec![]));
    let longer: Arc<[u8]> = [&good[..], b"x"].concat().into();
    for bad in [Arc::from(&b""[..]), Arc::from(&good[..good.len() - 1]), longer] {
        let verdict = ask(&provider(Config::default()), &connection(Some(&bad)), now());
        assert!(matches!(verdict, Verdict::Refused(Refusal { reason: Reason::Malformed, .. })), "{verdict:?}");
    }
}

#[test]
fn the_upstream_is_told_in_a_field_where_that_is_wanted() {
    let certificate = certificate(params(&["anna"], vec![]));
    for (forward, told) in [(true, Some(format!(":{}:", STANDARD.encode(&certificate)))), (false, None)] {
        let provider = provider(Config { forward, ..Config::default() });
        let mut head = RequestHeader::build(Method::GET, b"/", None).expect("a head");
        provider.tell(&connection(Some(&certificate)), &mut head);
        let field = head.headers.get("client-cert").map(|field| field.to_str().expect("text").to_owned());
        assert_eq!(field, told);
    }
    assert!(provider(Config::default()).spoofable().contains(&CLIENT_CERT));
}

#[test]
fn settings_that_find_nobody_are_refused() {
    let config = Config {
        subject: vec![NamePart::Cn, NamePart::Cn],
        allow: vec![String::new(), "a*b".into(), "*".into()],
        ..Config::default()
    };
    let errors = ClientCertificate::new(&config, "mtls", &Clock::system()).map(drop).expect_err("bad");
    let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(paths, ["subject[1]", "allow[0]", "allow[1]"]);
    assert!(
        ClientCertificate::new(&Config { subject: vec![], ..Config::default() }, "mtls", &Clock::system()).is_err()
    );
}

/// As Envoy writes it.
#[test]
fn a_certificate_is_told_with_its_hash_its_subject_and_its_names_and_nothing_breaks_out() {
    let told = |common: &[&str], names: Vec<SanType>| {
        let certificate = certificate(params(common, names));
        let hash: String =
            sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), &*certificate))
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
        let value = xfcc::value(&certificate).expect("a certificate");
        let text = value.to_str().expect("visible ASCII").to_owned();
        text.strip_prefix(&format!("Hash={hash}")).expect("its hash").to_owned()
    };
    assert_eq!(
        told(&["anna"], vec![uri("spiffe://x/a"), dns("a.test"), dns("b.test")]),
        ";Subject=\"CN=anna\";URI=spiffe://x/a;DNS=a.test;DNS=b.test"
    );
    assert_eq!(told(&["a\";Hash=0, b"], vec![]), ";Subject=\"CN=a\\\"\\;Hash=0\\, b\"");
    assert_eq!(told(&["anna\\"], vec![]), ";Subject=\"CN=anna\\\\\"");
    assert_eq!(told(&["anna"], vec![uri("spiffe://x/a;b=c,d")]), ";Subject=\"CN=anna\";URI=\"spiffe://x/a;b=c,d\"");
    assert_eq!(told(&["J\u{fc}rgen"], vec![uri("spiffe://x/\"a"), uri("x\\")]), "", "what can't be said is left out");
    assert_eq!(xfcc::value(b"no certificate"), None);
}
