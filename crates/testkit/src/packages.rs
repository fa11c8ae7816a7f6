//! What npm has installed for tests.

use std::path::PathBuf;

/// Where `scripts/need test` has put the packages of `folder`, `package` among them: in the target directory.
pub(crate) fn npm(folder: &str, package: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    let folders = own.ancestors().map(|parent| parent.join(folder));
    let found = folders.into_iter().find(|folder| folder.join("node_modules").join(package).is_dir());
    found.unwrap_or_else(|| panic!("the packages of npm are not there: run `scripts/need test`, or `make test`"))
}
