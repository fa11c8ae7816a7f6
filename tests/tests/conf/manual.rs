//! What the manual shows of configurations can be used as it stands.

use tidegate::{ConfigSource, Gateway};
use tidegate_routing::Routing;
use tidegate_testkit::certs;

use crate::support::{folder, tidegate};

/// The `yaml` blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("../docs").join(page)).expect("a page");
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// A block that shows some sections, or one route, as a whole file.
fn whole(block: &str) -> String {
    let has = |whole: &str, key: &str| whole.lines().any(|line| line.starts_with(&format!("{key}:")));
    let mut whole = block.to_owned();
    if has(block, "plugins") {
        let route: String = block.lines().map(|line| format!("      {line}\n")).collect();
        whole = format!("routing:\n  routes:\n    - name: example\n{route}");
    }
    for (section, default) in
        [("listeners", "[{ bind: \"127.0.0.1:0\" }]"), ("routing", "{ routes: [{ name: example, upstream: shop }] }")]
    {
        if !has(&whole, section) {
            whole.push_str(&format!("{section}: {default}\n"));
        }
    }
    let mut named: Vec<_> =
        whole.split("upstream: ").skip(1).filter_map(|rest| rest.split([' ', ',', '\n']).next()).collect();
    named.sort_unstable();
    named.dedup();
    let pools: Vec<_> = named.iter().map(|name| format!("{name}: {{ targets: [\"127.0.0.1:9\"] }}")).collect();
    if !has(&whole, "upstreams") && !pools.is_empty() {
        whole.push_str(&format!("upstreams: {{ {} }}\n", pools.join(", ")));
    }
    if whole.contains("auth: require") && !has(&whole, "auth") {
        let key =
            "{ prefix: ada, owner: ada, sha256: f7287edf0dd71754c20441b8d5c69cb92aea0f091ca0e4f8ca7122b2c2e5a7ad }";
        whole.push_str(&format!("auth: {{ providers: [{{ api_key: {{ keys: [{key}] }} }}] }}\n"));
    }
    whole
}

#[tokio::test]
async fn whole_configurations_in_the_manual_are_good() {
    let mut found = 0;
    for page in ["../README.md", "getting-started.md"] {
        for block in blocks(page) {
            let indent = block.len() - block.trim_start().len();
            let yaml: String = block.lines().map(|line| line.get(indent..).unwrap_or("").to_owned() + "\n").collect();
            if yaml.contains("listeners:") {
                found += 1;
                let gateway = tidegate();
                gateway.check_strict(&ConfigSource::yaml(&*yaml)).unwrap_or_else(|error| panic!("{page}:\n{error}"));
            }
        }
    }
    assert_eq!(found, 3);
}

#[tokio::test]
async fn every_example_on_the_pages_about_caching_compressing_and_files_is_good() {
    for (page, least) in [("cache.md", 3), ("compress.md", 5), ("files.md", 2)] {
        let blocks = blocks(page);
        assert!(blocks.len() >= least, "{page}: {}", blocks.len());
        for block in blocks {
            let whole = whole(&block).replace("${SITE_DIR:-/srv}", &std::env::temp_dir().to_string_lossy());
            let gateway = tidegate();
            gateway
                .check_strict(&ConfigSource::yaml(&*whole))
                .unwrap_or_else(|error| panic!("{page}:\n{error}\n{whole}"));
        }
    }
}

#[tokio::test]
async fn every_example_on_the_page_about_upstreams_is_good() {
    let blocks = blocks("upstreams.md");
    let examples: Vec<_> = blocks.iter().filter(|block| block.starts_with("upstreams:")).collect();
    assert!(examples.len() >= 9, "{}", examples.len());
    for example in examples {
        let gateway = Gateway::new().router::<Routing>();
        let whole = format!("{example}\nlisteners: [{{ bind: \"127.0.0.1:0\" }}]\nrouting: {{ routes: [] }}\n");
        gateway.check_strict(&ConfigSource::yaml(whole)).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[tokio::test]
async fn every_example_on_the_page_about_identities_is_good() {
    let examples = blocks("auth.md");
    assert!(examples.len() >= 15, "{}", examples.len());
    let (state, authority) = (tempfile::tempdir().expect("a folder"), certs());
    let site = authority.leaf(&["example.com"]);
    for (from, name) in [(&site.cert, "site.pem"), (&site.key, "site.key"), (&authority.ca(), "clients.pem")] {
        std::fs::copy(from, state.path().join(name)).expect("copied");
    }
    for example in examples {
        let mut whole = example.replace("${TLS_DIR:-tls}", &state.path().to_string_lossy());
        whole = whole.replace("${STATE_DIRECTORY}", &state.path().to_string_lossy());
        for (section, default) in [
            ("listeners", "[{ bind: \"127.0.0.1:0\" }]"),
            ("routing", "{ routes: [{ name: all, reply: { body: hi }, plugins: { auth: require } }] }"),
        ] {
            if !whole.lines().any(|line| line.starts_with(&format!("{section}:"))) {
                whole.push_str(&format!("{section}: {default}\n"));
            }
        }
        let gateway = tidegate();
        gateway.check_strict(&ConfigSource::yaml(&*whole)).unwrap_or_else(|error| panic!("{error}\n{whole}"));
    }
}
