//! A request head that the strict check lets through is one that another reader takes as well, up to the same byte, and
//! in which nothing can be read in two ways: one way to end a line, no control characters, one host, and at most one way
//! to say how long the body is.
#![no_main]

use httparse::{EMPTY_HEADER, Request, Status};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|head: &[u8]| {
    if tidegate_listener::check_head(head).is_err() {
        return;
    }
    let mut fields = [EMPTY_HEADER; 512];
    let mut request = Request::new(&mut fields);
    let length = match request.parse(head) {
        Ok(Status::Complete(length)) => length,
        Err(httparse::Error::TooManyHeaders) => return,
        other => panic!("another reader says {other:?}"),
    };
    let head = &head[..length];
    assert!(head.ends_with(b"\r\n\r\n") && !head.contains(&0), "where it ends is not clear");
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let (_, lines) = lines.split_last().expect("one at least");
    let plain = |line: &&[u8]| line.ends_with(b"\r") && !line[..line.len() - 1].contains(&b'\r');
    assert!(lines.iter().all(plain), "a line ends in two ways");
    assert!(!lines.iter().any(|line| line.starts_with(b" ") || line.starts_with(b"\t")), "a folded line got through");

    let all = |name: &str| -> Vec<&[u8]> {
        let named = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| field.value.trim_ascii()).collect()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "two framings got through");
    assert!(lengths.iter().all(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit)), "{lengths:?}");
    assert!(codings.iter().all(|value| value.eq_ignore_ascii_case(b"chunked")), "{codings:?}");
    assert!(codings.is_empty() || request.version == Some(1), "HTTP/1.0 in chunks");
    let hosts = all("host").len();
    assert!(hosts == 1 || hosts == 0 && request.version == Some(0), "{hosts} hosts");
});
