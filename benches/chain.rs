//! What the parts of a request cost in this process: the lookup of a route, and the chain of plugins.
//!
//! Prints the best of several batches (what the code costs) and their median (what the machine made of it). Every
//! figure checks its premise: each lookup found the route it was for, each chain let its request through.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;
use tidegate::bench::BareChain;
use tidegate::{ConfigSource, Gateway};
use tidegate_core::erased::Link;
use tidegate_core::facts::{ClientAddr, Facts, RequestId};
use tidegate_core::{
    ConfigPath, Connection, Cx, Handler, Params, Request, RequestHead, Route, RouteId, RouteTable, Routed, Router,
    Scheme,
};
use tidegate_headers::Headers;
use tidegate_routing::Routing;
use tidegate_testkit::allocations;
use tokio::io::AsyncWriteExt;

tidegate_testkit::count_allocations!();

const GITHUB: &str = include_str!("data/github-api.txt");

fn main() {
    println!("routes");
    println!("{:>16} {:>12} {:>12} {:>12} {:>14}", "routes", "load ms", "lookup ns", "(median)", "allocations");
    for count in [10, 1_000, 10_000, 50_000] {
        routes(&count.to_string(), &generated(count));
    }
    routes("203 (GitHub API)", &github());
    println!("\nchain, all hooks of one request");
    println!("{:>16} {:>12} {:>12} {:>14}", "no-op plugins", "ns", "(median)", "allocations");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for plugins in [0, 5, 20] {
        runtime.block_on(chain(plugins));
    }
}

/// A route: its method, its template, and a path that it is to match.
struct Case {
    method: Method,
    template: String,
    path: String,
}

fn case(method: &str, template: String) -> Case {
    let sample = template.split('/').map(|part| if part.starts_with('{') { "a1b2c3" } else { part });
    let path = sample.collect::<Vec<_>>().join("/").replace("**", "rest/of/it");
    Case { method: method.parse().expect("a method"), template, path }
}

/// Routes as services have them: a version, a service, a resource, an id.
fn generated(count: usize) -> Vec<Case> {
    let shape = |n: usize| match n % 4 {
        0 => format!("/v1/service{}/items{n}", n / 100),
        1 => format!("/v1/service{}/items{n}/{{id}}", n / 100),
        2 => format!("/v1/service{}/items{n}/{{id}}/parts/{{part}}", n / 100),
        _ => format!("/v1/service{}/files{n}/**", n / 100),
    };
    (0..count).map(|n| case("GET", shape(n))).collect()
}

fn github() -> Vec<Case> {
    let lines = GITHUB.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect("METHOD path")).map(|(m, p)| case(m, p.to_owned())).collect()
}

fn yaml(cases: &[Case]) -> String {
    let mut text = String::from("listeners: [{ bind: \"127.0.0.1:0\" }]\n");
    text.push_str("upstreams: { all: { targets: [\"127.0.0.1:1\"] } }\nrouting:\n  routes:\n");
    for (n, case) in cases.iter().enumerate() {
        let (method, template) = (&case.method, &case.template);
        text +=
            &format!("    - {{ name: r{n}, match: {{ methods: [{method}], path: \"{template}\" }}, upstream: all }}\n");
    }
    text
}

fn routes(name: &str, cases: &[Case]) {
    let text = yaml(cases);
    let gateway = Gateway::new().router::<Routing>().plugin::<Headers>();
    let source = ConfigSource::yaml(text.clone());
    let began = Instant::now();
    gateway.check(&source).unwrap_or_else(|bad| panic!("{bad}"));
    let load = began.elapsed();

    let document = tidegate_config::Document::parse(&text, &tidegate_config::ProcessEnv).expect("valid");
    let config = document.section("routing").expect("there").read().unwrap_or_else(|bad| panic!("{bad}"));
    let mut table = RouteTable::new();
    let routing = Routing::from_config(&config, &mut table).unwrap_or_else(|bad| panic!("{bad}"));
    let headers = HeaderMap::new();
    let heads: Vec<_> = cases.iter().map(|case| head(case, &headers)).collect();
    for (n, head) in heads.iter().enumerate() {
        match routing.route(head) {
            Routed::Found(found) => assert_eq!(found.route.index(), n, "{} {}", head.method, head.path),
            other => panic!("{} {}: {other:?}", head.method, head.path),
        }
    }
    // A stride that is prime to every count: neighbours in the table are not neighbours in time.
    let order: Vec<_> = (0..heads.len()).map(|n| n * 7919 % heads.len()).collect();
    let mut next = order.iter().cycle();
    let (best, median) = time(20_000, || {
        let head = &heads[*next.next().expect("endless")];
        black_box(routing.route(black_box(head)));
    });
    let allocated = allocations(|| heads.iter().for_each(|head| drop(black_box(routing.route(head)))));
    let (load, each) = (load.as_secs_f64() * 1e3, allocated as f64 / heads.len() as f64);
    println!("{name:>16} {load:12.1} {best:12.0} {median:12.0} {each:14.2}");
}

fn head<'a>(case: &'a Case, headers: &'a HeaderMap) -> RequestHead<'a> {
    RequestHead {
        method: &case.method,
        authority: "api.example.com",
        path: &case.path,
        query: None,
        headers,
        client: IpAddr::from([127, 0, 0, 1]),
        scheme: Scheme::Http,
        listener: "main",
    }
}

struct Nothing;

impl Handler for Nothing {}

async fn chain(plugins: usize) {
    let (mut client, server) = tokio::io::duplex(4096);
    client.write_all(b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n").await.expect("written");
    let mut session = Session::new_h1(Box::new(server));
    assert!(session.read_request().await.expect("read"));
    let route = Route::new(RouteId(0), "bench", Vec::new(), ConfigPath::root(), "");
    let mut request = request();
    let chain = BareChain::new((0..plugins).map(|_| Box::new(Nothing) as Box<dyn Link>).collect());
    let mut upstream = RequestHeader::build("GET", b"/", None).expect("valid");
    let mut response = ResponseHeader::build(200, None).expect("valid");
    let mut cx = Cx::new(&mut session, &mut request, &route);
    let run = async |cx: &mut Cx<'_>, upstream: &mut RequestHeader, response: &mut ResponseHeader| {
        assert!(chain.run(cx, upstream, response).await, "every request is let through");
    };
    let mut batches = Vec::new();
    for _ in 0..30 {
        let began = Instant::now();
        for _ in 0..5_000 {
            run(&mut cx, &mut upstream, &mut response).await;
        }
        batches.push(began.elapsed() / 5_000);
    }
    batches.sort();
    let handle = tokio::runtime::Handle::current();
    let allocated = allocations(|| {
        let work = run(&mut cx, &mut upstream, &mut response);
        // The hooks never wait, so one poll is all.
        let waker = std::task::Waker::noop();
        let mut work = std::pin::pin!(work);
        assert!(work.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_ready());
        let _ = &handle;
    });
    let (best, median) = (batches[0].as_nanos(), batches[batches.len() / 2].as_nanos());
    println!("{plugins:>16} {best:12} {median:12} {allocated:14}");
    drop(client);
}

fn request() -> Request {
    let client = ClientAddr { ip: IpAddr::from([127, 0, 0, 1]), forwarded: false };
    Request {
        facts: Facts::new(RequestId::parse(b"bench").expect("valid"), client),
        params: Params::default(),
        path: None,
        connection: Arc::new(Connection { listener: "main".into(), peer: None, local: None, tls: None }),
        scheme: Scheme::Http,
        started: Instant::now(),
        body: None,
    }
}

/// Nanoseconds of one `work`: the best batch and the median one.
fn time(per_batch: u32, mut work: impl FnMut()) -> (f64, f64) {
    let mut batches: Vec<Duration> = (0..30)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..per_batch {
                work();
            }
            began.elapsed()
        })
        .collect();
    batches.sort();
    let each = |batch: Duration| batch.as_nanos() as f64 / f64::from(per_batch);
    (each(batches[0]), each(batches[batches.len() / 2]))
}
