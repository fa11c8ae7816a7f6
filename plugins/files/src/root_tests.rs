use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const INSIDE: &str = "inside";
const OUTSIDE: &str = "outside";

/// Both ways of opening, for both rules.
fn roots(path: &Path) -> Vec<(String, Root)> {
    let open = |symlinks| Root::open(path, symlinks).expect("a root");
    vec![
        ("never".to_owned(), open(Symlinks::Never)),
        ("beneath".to_owned(), open(Symlinks::Beneath)),
        ("never, by steps".to_owned(), open(Symlinks::Never).by_steps_only()),
        ("beneath, by steps".to_owned(), open(Symlinks::Beneath).by_steps_only()),
    ]
}

/// The text of a file; `None` for what is not opened, or no file.
fn text(root: &Root, path: &str) -> Option<String> {
    let mut file = root.file(path).ok().filter(|file| file.metadata().is_ok_and(|is| is.is_file()))?;
    let mut text = String::new();
    file.read_to_string(&mut text).expect("it is read");
    Some(text)
}

/// `base/root` and beside it a secret.
fn base() -> (TempDir, PathBuf) {
    let base = tempfile::tempdir().expect("a folder");
    let root = base.path().join("root");
    fs::create_dir_all(root.join("sub/deep")).expect("made");
    fs::write(base.path().join("secret"), OUTSIDE).expect("written");
    fs::create_dir(base.path().join("rootless")).expect("made");
    fs::write(base.path().join("rootless/a"), OUTSIDE).expect("written");
    for path in ["a", "sub/a", "sub/deep/a"] {
        fs::write(root.join(path), INSIDE).expect("written");
    }
    (base, root)
}

#[test]
fn links_are_never_followed_unless_they_stay_beneath() {
    let (base, root) = base();
    let link = |target: &str, at: &str| symlink(target, root.join(at)).expect("linked");
    link("a", "near");
    link("../a", "sub/up");
    link("sub", "folder");
    link("../secret", "out");
    link("../root/a", "out_and_in");
    link("/etc/passwd", "passwd");
    link(&base.path().join("secret").to_string_lossy(), "absolute");
    link(&root.join("a").to_string_lossy(), "absolute_inside");
    link("..", "parent");
    link("/", "slash");
    link("loop", "loop");
    link("/proc/self/root/etc/passwd", "magic");
    link("/proc/self/cwd", "cwd");
    for (name, root) in roots(&root) {
        let followed = (name == "beneath").then(|| INSIDE.to_owned());
        for path in ["near", "sub/up", "folder/a", "folder/deep/a"] {
            assert_eq!(text(&root, path), followed, "{name}: {path}");
        }
        for path in [
            "out",
            "out_and_in",
            "passwd",
            "absolute",
            "absolute_inside",
            "parent/secret",
            "slash/etc/passwd",
            "loop",
            "magic",
            "cwd/Cargo.toml",
            "parent/root/a",
        ] {
            assert!(matches!(root.file(path), Err(NotOpened::NotThere)), "{name}: {path}");
        }
        assert_eq!(text(&root, "sub/deep/a").as_deref(), Some(INSIDE), "{name}");
    }
}

#[test]
fn even_names_that_climb_do_not_leave_the_root() {
    let (_base, root) = base();
    for (name, root) in roots(&root) {
        for path in
            ["..", "../secret", "sub/../../secret", "/etc/passwd", "../rootless/a", "a/../../secret", "sub/../.."]
        {
            assert!(text(&root, path).is_none(), "{name}: {path}");
        }
    }
}

#[test]
fn a_pipe_is_not_waited_for_and_a_socket_is_not_there() {
    let (_base, root) = base();
    let pipe = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().expect("mkfifo runs");
    assert!(pipe.success());
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).expect("bound");
    for (name, root) in roots(&root) {
        assert_eq!(text(&root, "pipe"), None, "{name}");
        assert!(matches!(root.file("socket"), Err(NotOpened::NotThere)), "{name}");
    }
}

#[test]
fn a_root_must_be_there_and_be_a_folder() {
    let (_base, root) = base();
    assert!(Root::open(&root.join("nowhere"), Symlinks::Never).is_err());
    assert!(Root::open(&root.join("a"), Symlinks::Never).is_err());
}

#[derive(Debug, Clone)]
enum Made {
    File(Vec<usize>),
    Link(Vec<usize>, usize),
}

/// Names that are made and asked for.
const NAMES: [&str; 5] = ["a", "b", "sub", "deep", "link"];
/// Where links lead.
const TARGETS: [&str; 12] = [
    "..",
    "../..",
    "../secret",
    "../../secret",
    "/etc/passwd",
    "/",
    "a",
    "sub/../..",
    "sub/deep/../../../secret",
    "../root",
    "link/../../secret",
    ".",
];

fn made() -> impl Strategy<Value = Made> {
    let path = || prop::collection::vec(0..NAMES.len(), 1..4);
    prop_oneof![path().prop_map(Made::File), (path(), 0..TARGETS.len()).prop_map(|(path, to)| Made::Link(path, to))]
}

fn joined(path: &[usize]) -> String {
    path.iter().map(|name| NAMES[*name]).collect::<Vec<_>>().join("/")
}

/// Whether there is a link on the way: what is made must not be made elsewhere.
fn through_a_link(root: &Path, path: &str) -> bool {
    let mut at = root.to_owned();
    path.split('/').any(|name| {
        at.push(name);
        at.is_symlink()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_outside_is_ever_read_whatever_links_there_are(
        tree in prop::collection::vec(made(), 0..20),
        asked in prop::collection::vec(prop::collection::vec(0..NAMES.len() + 3, 1..6), 20),
    ) {
        let (_base, root) = base();
        for made in &tree {
            let path = match made { Made::File(path) | Made::Link(path, _) => joined(path) };
            let full = root.join(&path);
            if through_a_link(&root, &path) || full.exists() {
                continue;
            }
            // A file may be where a folder should be: then there is one thing less.
            let _ = full.parent().map(fs::create_dir_all);
            let _ = match made {
                Made::File(_) => fs::write(&full, INSIDE),
                Made::Link(_, to) => symlink(TARGETS[*to], &full),
            };
        }
        for (name, root) in roots(&root) {
            for path in &asked {
                let names = path.iter().map(|at| NAMES.get(*at).copied().unwrap_or(["..", "secret", "etc/passwd"][at % 3]));
                let path = names.collect::<Vec<_>>().join("/");
                if let Some(text) = text(&root, &path) {
                    prop_assert_eq!(text, INSIDE, "{}: {}", name, path);
                }
            }
        }
    }
}
