//! Real programs behind the gateway: what a client gets through it is what it gets without it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use http::Method;
use tidegate_testkit::{Answer, Call, Client, H2Client, Program, call, program};

use crate::{Tidegate, all_to};

/// What belongs to a connection, or is new in each answer.
const OF_THE_CONNECTION: [&str; 5] = ["connection", "keep-alive", "transfer-encoding", "date", "x-request-id"];

/// Sends a request through the gateway, by both versions, and straight to the application with what the gateway adds
/// to requests; compares status, fields and bodies.
async fn same(app: &Program, tidegate: &Tidegate, request: Call) {
    // Answers may depend on the name.
    let request = request.host("app.test");
    let h1 = tidegate.connect().await.send(request.clone()).await;
    let h2 = H2Client::connect(tidegate.addr()).await.send(request.clone()).await;
    for (version, through) in [("HTTP/1.1", h1), ("HTTP/2", h2)] {
        let id = through.header("x-request-id").expect("an id");
        let told = request
            .clone()
            .header("X-Forwarded-For", "127.0.0.1")
            .header("X-Forwarded-Proto", "http")
            .header("X-Forwarded-Host", "app.test")
            .header("X-Request-ID", id);
        let direct = Client::connect(app.addr()).await.send(told).await;
        assert_eq!(through.status, direct.status, "{version} {request:?}\n{through:#?}\n{direct:#?}");
        assert_eq!(fields(&through), fields(&direct), "{version} {request:?}");
        let (ours, theirs) = (timeless(&through), timeless(&direct));
        assert!(ours == theirs, "{version} {request:?}\n{through:#?}\n{direct:#?}");
    }
}

/// The body; the time in the head of a gzip file (RFC 1952 section 2.3) is left out.
fn timeless(answer: &Answer) -> Vec<u8> {
    let mut body = answer.body.to_vec();
    if answer.header("content-encoding") == Some("gzip") && body.len() > 8 {
        body.drain(4..8);
    }
    body
}

fn fields(answer: &Answer) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in answer.headers.iter() {
        let name = name.to_ascii_lowercase();
        if !OF_THE_CONNECTION.contains(&name.as_str()) {
            fields.entry(name).or_default().push(value.to_owned());
        }
    }
    fields
}

#[tokio::test]
async fn httpbin_answers_through_the_gateway_as_it_does_without() {
    let python = httpbin_environment();
    let app = program(&python, "python3-venv");
    let bind = format!("127.0.0.1:{}", app.port());
    let app = app.args(["-m", "gunicorn", "--threads", "4", "--bind", &bind, "httpbin:app"]).start().await;
    let tidegate = Tidegate::start(&all_to(&app.addr().to_string())).await;

    for path in [
        "/get?a=1&b=%C3%A9&b=2",
        "/headers",
        "/ip",
        "/user-agent",
        "/html",
        "/json",
        "/xml",
        "/robots.txt",
        "/deny",
        "/encoding/utf8",
        "/gzip",
        "/deflate",
        "/brotli",
        "/image/png",
        "/image/jpeg",
        "/image/svg",
        "/bytes/10000?seed=1",
        "/stream-bytes/100000?seed=1&chunk_size=1000",
        "/stream/20",
        "/range/2048",
        "/links/5/0",
        "/base64/aGVsbG8=",
        "/status/200",
        "/status/204",
        "/status/304",
        "/status/400",
        "/status/401",
        "/status/404",
        "/status/418",
        "/status/500",
        "/status/503",
        "/redirect-to?url=%2Fget&status_code=307",
        "/relative-redirect/1",
        "/absolute-redirect/1",
        "/cookies/set?a=1&b=2",
        "/cookies",
        "/cache/60",
        "/etag/abc",
        "/response-headers?X-Odd=1&X-Odd=2&Content-Type=text%2Fplain",
        "/basic-auth/user/pass",
        "/anything/with%20space?q=1",
        "/drip?duration=0&numbytes=5&delay=0",
        "/delay/0",
        "/no/such/page",
    ] {
        same(&app, &tidegate, call(Method::GET, path)).await;
        same(&app, &tidegate, call(Method::HEAD, path)).await;
    }
    for (method, path) in [
        (Method::POST, "/post"),
        (Method::PUT, "/put"),
        (Method::PATCH, "/patch"),
        (Method::DELETE, "/delete"),
        (Method::POST, "/anything"),
        (Method::OPTIONS, "/get"),
        (Method::DELETE, "/get"),
        (Method::POST, "/status/201"),
    ] {
        let request = || call(method.clone(), path);
        same(&app, &tidegate, request()).await;
        same(&app, &tidegate, request().body("")).await;
        same(&app, &tidegate, request().header("Content-Type", "application/json").body("{\"a\":[1,2]}")).await;
        let form = request().header("Content-Type", "application/x-www-form-urlencoded").body("a=1&b=%26&a=2");
        same(&app, &tidegate, form).await;
        let parts = "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\nhello\0\r\n--x--\r\n";
        same(&app, &tidegate, request().header("Content-Type", "multipart/form-data; boundary=x").body(parts)).await;
    }
    let with = |name: &str, value: &str, path: &str| call(Method::GET, path).header(name, value);
    for request in [
        with("Range", "bytes=10-19", "/range/100"),
        with("Range", "bytes=1000-", "/range/100"),
        with("If-None-Match", "abc", "/etag/abc"),
        with("If-Match", "other", "/etag/abc"),
        with("If-Modified-Since", "Sat, 01 Jan 2022 00:00:00 GMT", "/cache"),
        with("Accept", "image/webp", "/image"),
        with("Authorization", "Basic dXNlcjpwYXNz", "/basic-auth/user/pass"),
        with("Authorization", "Bearer t", "/bearer"),
        with("Cookie", "a=1; b=2", "/cookies"),
        with("Accept-Encoding", "gzip, br", "/anything"),
        with("X-Empty", "", "/headers"),
    ] {
        same(&app, &tidegate, request).await;
    }
}

/// A Python with httpbin in it, made once under `target/`.
fn httpbin_environment() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("httpbin");
        let python = dir.join("bin/python");
        let ready = |python: &Path| {
            let check = Command::new(python).args(["-c", "import httpbin, gunicorn"]).output();
            check.is_ok_and(|check| check.status.success())
        };
        if !ready(&python) {
            let install = [HTTPBIN, GUNICORN, "setuptools<81"];
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir));
            run(Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(install));
            assert!(ready(&python), "httpbin was installed into {} but can't be imported", dir.display());
        }
        python
    })
    .clone()
}

const HTTPBIN: &str = "httpbin==0.10.4";
const GUNICORN: &str = "gunicorn==23.0.0";

fn run(command: &mut Command) {
    let outcome = command.output();
    let failure = match &outcome {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "this test needs a Python environment with {HTTPBIN} and {GUNICORN}, and `{command:?}` failed:\n{failure}\n\
         With Debian: apt-get install python3-venv. Without a network: make the environment elsewhere and copy it to \
         {}/httpbin",
        env!("CARGO_TARGET_TMPDIR")
    );
}

const NGINX: &str = "
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    types { text/html html; text/plain txt; application/json json; }
    gzip on;
    gzip_types text/plain;
    server {
        listen 127.0.0.1:PORT;
        root www;
        location /list/ { autoindex on; }
        location = /moved { return 301 /page.html; }
        location = /gone { return 410 'gone\\n'; }
        location = /none { return 204; }
        location = /teapot { add_header X-A 1 always; add_header X-A 2 always; return 418 'short\\n'; }
        location = /echo { return 200 '$request_method $request_uri $http_host $server_protocol'; }
        location = /expires { expires epoch; return 200 'kept'; }
    }
}
";

#[tokio::test]
async fn nginx_answers_through_the_gateway_as_it_does_without() {
    let app = program("nginx", "nginx-light");
    let www = app.dir().join("www");
    std::fs::create_dir_all(www.join("list/sub")).expect("a directory");
    std::fs::write(www.join("page.html"), "<h1>page</h1>\n").expect("a page");
    std::fs::write(www.join("long.txt"), "line of text\n".repeat(100_000)).expect("a long file");
    std::fs::write(www.join("empty.txt"), "").expect("an empty file");
    std::fs::write(www.join("list/a b.json"), "{}").expect("a file");
    let conf = NGINX.replace("PORT", &app.port().to_string());
    let prefix = app.dir().display().to_string();
    let app = app.file("nginx.conf", conf).args(["-p", &prefix, "-c", "nginx.conf"]).start().await;
    let tidegate = Tidegate::start(&all_to(&app.addr().to_string())).await;

    let get = |path: &str| call(Method::GET, path);
    for path in [
        "/page.html",
        "/long.txt",
        "/empty.txt",
        "/list/",
        "/list",
        "/list/a%20b.json",
        "/missing",
        "/moved",
        "/gone",
        "/none",
        "/teapot",
        "/expires",
        "/page.html?v=1",
    ] {
        same(&app, &tidegate, get(path)).await;
        same(&app, &tidegate, call(Method::HEAD, path)).await;
    }
    let etag = Client::connect(app.addr()).await.get("/page.html").await.header("etag").expect("an ETag").to_owned();
    for request in [
        get("/page.html").header("If-None-Match", &etag),
        get("/page.html").header("If-Match", "\"other\""),
        get("/long.txt").header("Range", "bytes=100-199"),
        get("/long.txt").header("Range", "bytes=99999999-"),
        get("/long.txt").header("Accept-Encoding", "gzip"),
        call(Method::POST, "/page.html").body("x"),
        call(Method::DELETE, "/page.html"),
    ] {
        same(&app, &tidegate, request).await;
    }
    let echo = tidegate.connect().await.send(get("/echo?x=%20y").host("app.test")).await;
    assert_eq!(echo.text(), "GET /echo?x=%20y app.test HTTP/1.1");
}
