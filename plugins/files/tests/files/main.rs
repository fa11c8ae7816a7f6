//! YAML in, HTTP out.

mod answers;
mod compressed;
mod conditional;
mod config;
mod listing;
mod parts;
mod single_page;
mod streaming;
mod traversal;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tidegate_files::Files;
use tidegate_testkit::{GatewayBuilder, TestGateway, gateway};

/// A gateway with this plugin.
fn builder() -> GatewayBuilder {
    gateway().plugin::<Files>()
}

/// A folder with files, and a secret beside it.
struct Tree(TempDir);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a folder"));
        std::fs::create_dir(tree.root()).expect("made");
        std::fs::write(tree.0.path().join("secret.txt"), SECRET).expect("written");
        for (path, content) in files {
            tree.write(path, content);
        }
        tree
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    /// A gateway that serves it at `/`, with more in the endpoint's configuration (`, index: off`).
    async fn serve(&self, more: &str) -> TestGateway {
        builder().start(&route("/**", &self.root(), more)).await
    }
}

/// What is in files that nobody may see.
const SECRET: &str = "this is outside of the root";

/// The configuration of one route.
fn route(path: &str, root: &Path, more: &str) -> String {
    format!(
        "routing:\n  routes:\n    - name: site\n      match: {{ path: \"{path}\" }}\n      endpoint: {{ files: {{ root: \
         {root:?}{more} }} }}\n"
    )
}
