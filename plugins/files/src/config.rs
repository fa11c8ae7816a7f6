//! The plugin's section, and what a route asks of the endpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The section: what all folders share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many reads of the disk go on at once, over all routes: 1 to 512. Default 64. Requests beyond wait for their
    /// turn, and get 503 after 30 seconds.
    pub reads: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { reads: 64 }
    }
}

/// A folder that a route serves: `endpoint: { files: { … } }`.
///
/// ```yaml
/// endpoint:
///   files:
///     root: /srv
///     spa_fallback: /index.html
///     precompressed: [zst, br, gz]
///     cache_control:
///       - { path: "/assets/**", value: "public, max-age=31536000, immutable" }
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// The folder. It must be there when the configuration is read, and is opened once: what is renamed or linked into
    /// its place later is seen after a reload. A relative path begins where the gateway was started.
    pub root: PathBuf,
    /// The path of the URL below which the folder appears. Default: that of the route, `/assets` for a match of
    /// `/assets/**`; the root of the site for a match without `**`.
    #[serde(default)]
    pub at: Option<String>,
    /// The file that stands for its folder. Default `index.html`; `off` for none.
    #[serde(default = "index")]
    pub index: String,
    /// The file that answers for paths that are none, such as `/index.html`: for applications that route by themselves.
    /// Only for GET and HEAD of those who would rather have HTML than anything else, and never for a path that ends
    /// like another kind of file (`/app.js`). Default none.
    #[serde(default)]
    pub spa_fallback: Option<String>,
    /// The file that is the body of a 404, such as `/404.html`. Default none: the gateway's own answer.
    #[serde(default)]
    pub not_found: Option<String>,
    /// Which compressed siblings of a file are looked for (`app.js.br` beside `app.js`), the best first. Default none.
    /// One that is older than its file is not used.
    #[serde(default)]
    pub precompressed: Vec<Coding>,
    /// Media types by extension, in place of the registered ones: `{ glb: model/gltf-binary }`. `text/…` gets
    /// `charset=utf-8` unless it says something else.
    #[serde(default)]
    pub types: BTreeMap<String, String>,
    /// The media type of what has no known extension. Default `application/octet-stream`.
    #[serde(default = "default_type")]
    pub default_type: String,
    /// `Cache-Control` by path; the first that fits counts. Where none does: `no-cache`, which lets everybody keep a
    /// file and ask each time whether it is still good.
    #[serde(default)]
    pub cache_control: Vec<CacheRule>,
    /// What is not there for clients, beside files whose name begins with a dot: `*.map` for names anywhere, `/private`
    /// for a path and everything below. Default none.
    #[serde(default)]
    pub hide: Vec<String>,
    /// Files and folders whose name begins with a dot. `.well-known` at the top is always served. Default `hide`.
    #[serde(default)]
    pub dotfiles: Dotfiles,
    /// Whether symbolic links below the root are followed. Default `never`.
    #[serde(default)]
    pub symlinks: Symlinks,
    /// What a folder without an index shows. Default `off`: 404.
    #[serde(default)]
    pub listing: Listing,
    /// What the `ETag` of a file is made of. Default `file`.
    #[serde(default)]
    pub etag: EtagOf,
}

/// `Cache-Control` of some files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheRule {
    /// Which: a pattern without `/` is matched with the file's name, one with `/` with its whole path below `root`. `*`
    /// is anything but `/`, `**` anything.
    pub path: String,
    /// The value, such as `public, max-age=31536000, immutable`.
    pub value: String,
}

/// A compressed sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// Zstandard, `.zst`.
    Zst,
    /// Brotli, `.br`.
    Br,
    /// Gzip, `.gz`.
    Gz,
}

/// What becomes of names that begin with a dot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dotfiles {
    /// 404.
    #[default]
    Hide,
    /// Served like others.
    Serve,
}

/// What becomes of symbolic links below the root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Symlinks {
    /// 404, wherever on the way they are.
    #[default]
    Never,
    /// Followed if they are relative and never leave the root, not even on the way. Needs Linux 5.6.
    Beneath,
}

/// What a folder without an index shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// 404.
    #[default]
    Off,
    /// A page with the names in it, at most 1,000.
    Html,
}

/// What the `ETag` of a file is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EtagOf {
    /// Its length, its inode, and when it and its inode last changed, to the nanosecond: another one after every
    /// change, and another one on every machine.
    #[default]
    File,
    /// Its length and when it last changed: the same on all machines to which it was copied with its time. Two versions
    /// with the same length and time are taken for one.
    Time,
}

fn index() -> String {
    "index.html".to_owned()
}

fn default_type() -> String {
    "application/octet-stream".to_owned()
}
