//! A client that sends exactly what it is told to.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::fixture::within;

pub(crate) struct Client<S>(pub(crate) S);

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the test app writes text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn send(&mut self, text: &str) {
        within("send", self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// Like `send`, to a server that may have gone away.
    pub(crate) async fn try_send(&mut self, text: &str) -> io::Result<()> {
        within("try_send", self.0.write_all(text.as_bytes())).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")).await;
        self.response().await
    }

    /// A response with a `Content-Length`, or a head without a body.
    pub(crate) async fn response(&mut self) -> Response {
        let head = self.head().await;
        let mut words = head.split(' ');
        assert!(words.next().is_some_and(|version| version.starts_with("HTTP/1.")), "no response: {head:?}");
        let status = words.next().and_then(|status| status.parse().ok()).expect("a status");
        let mut response = Response { status, head, body: Vec::new() };
        let length = response.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        response.body.resize(length, 0);
        within("the body", self.0.read_exact(&mut response.body)).await.unwrap();
        response
    }

    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match within("a head", self.0.read_u8()).await {
                Ok(byte) => head.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
            }
        }
        String::from_utf8(head).expect("heads are text")
    }

    pub(crate) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        within("bytes", self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// Everything until the server closes, which must be in good order.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        within("the end", self.0.read_to_end(&mut rest)).await.unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Waits until the server is gone, in whatever order.
    pub(crate) async fn gone(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end, too.
        _ = within("the server is gone", self.0.read_to_end(&mut rest)).await;
    }
}
