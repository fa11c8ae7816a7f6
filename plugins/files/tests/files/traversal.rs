//! Nothing outside of the root, and nothing that is hidden.

use std::os::unix::fs::symlink;

use tidegate_core::Method;
use tidegate_testkit::{TestGateway, call};

use crate::{SECRET, Tree};

/// A tree with every way out that a file system has.
fn tree() -> Tree {
    let tree = Tree::new(&[
        ("index.html", "home"),
        ("a.txt", "text"),
        ("sub/b.txt", "text"),
        (".env", SECRET),
        (".git/config", SECRET),
        ("sub/.htpasswd", SECRET),
        (".well-known/security.txt", "text"),
        (".well-known/.hidden", SECRET),
        ("private/key.pem", SECRET),
        ("app.js.map", SECRET),
    ]);
    for (to, at) in [
        ("/etc/passwd", "passwd"),
        ("../secret.txt", "secret"),
        ("/", "slash"),
        ("..", "up"),
        (".", "here"),
        ("/proc/self/root", "proc"),
        ("loop", "loop"),
    ] {
        symlink(to, tree.path(at)).expect("linked");
    }
    symlink(tree.root().parent().expect("a parent"), tree.path("absolute")).expect("linked");
    let made = std::process::Command::new("mkfifo").arg(tree.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    tree
}

/// Every path that may lead out.
fn paths() -> Vec<String> {
    let climbs = [
        "..",
        ".",
        "%2e%2e",
        "%2E%2e",
        ".%2e",
        "%2e.",
        "..%2f",
        "..%2F",
        "%2e%2e%2f",
        "%252e%252e",
        "%252e%252e%252f",
        "..;",
        "..;a=b",
        "..%3b",
        "\\..\\",
        "..\\",
        "..%5c",
        "%5c..%5c",
        "..%00",
        "%00",
        "..%c0%af",
        "%c0%ae%c0%ae",
        "%e0%80%ae%e0%80%ae",
        "%uff0e%uff0e",
        "...",
        "....",
        "..%20",
        "%20..",
        "..%09",
        "..%0d%0a",
        "up",
        "absolute",
        "here/..",
        "slash",
        "proc",
        "sub/..",
        "sub/%2e%2e",
        "./..",
        "sub/../..",
        "..//",
        "//..",
        "..%ff",
        "..%c2%a0",
        "\u{ff0e}\u{ff0e}",
        "%ef%bc%8e%ef%bc%8e",
        "..?",
        "..%23",
        "~",
        "*",
        "@",
        "C:",
    ];
    let ends = ["secret.txt", "etc/passwd", "root/.env", "private/key.pem", ""];
    let mut paths = Vec::new();
    for climb in climbs {
        for times in 1..=4 {
            for end in ends {
                paths.push(format!("/{}{end}", format!("{climb}/").repeat(times)));
                paths.push(format!("/sub/{}{end}", format!("{climb}/").repeat(times)));
                paths.push(format!("/{}{end}", climb.repeat(times)));
            }
        }
    }
    for path in [
        "/passwd",
        "/passwd/",
        "/secret",
        "/secret.txt",
        "/slash/etc/passwd",
        "/up/secret.txt",
        "/absolute/secret.txt",
        "/loop",
        "/loop/x",
        "/proc/etc/passwd",
        "/here/a.txt/../../secret.txt",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/.git",
        "/.git/",
        "/sub/.htpasswd",
        "/.ENV",
        "/.env.",
        "/.env/",
        "/.env%20",
        "/.env%00.txt",
        "/.well-known/.hidden",
        "/sub/.well-known/x",
        "/private",
        "/private/",
        "/private/key.pem",
        "/private/key%2epem",
        "/%70rivate/key.pem",
        "/Private/key.pem",
        "/private%2fkey.pem",
        "/private/./key.pem",
        "/private//key.pem",
        "//private/key.pem",
        "/app.js.map",
        "/app.js.ma%70",
        "/app.js.map/",
        "/pipe",
        "/pipe/",
        "/etc/passwd",
        "//etc/passwd",
        "///etc/passwd",
        "/file:///etc/passwd",
        "/a.txt/../secret.txt",
        "/a.txt%00.html",
        "/a.txt.",
        "/a.txt/",
        "/A.TXT",
        "/a.txt%20",
        "/a.txt::$DATA",
        "/con",
        "/sub",
        "/sub/",
        "/sub/b.txt/",
        "/nul",
        "/%",
        "/%2",
        "/%zz",
        "/a.txt%",
    ] {
        paths.push(path.to_owned());
    }
    paths.push(format!("/{}", "a".repeat(300)));
    paths.push(format!("/{}/secret.txt", "../".repeat(300)));
    paths.push(format!("/{}secret.txt", "%2e%2e/".repeat(300)));
    paths.push("/sub".repeat(100));
    paths
}

/// Asks for all of them as they are: no client of ours makes them harmless.
async fn assert_safe(gateway: &TestGateway, what: &str) {
    let mut asked = 0;
    for path in paths() {
        let mut client = gateway.connect().await;
        client.begin(&call(Method::GET, path.as_str()).header("Accept", "text/html")).await;
        let Ok(answer) = client.try_answer().await else { continue };
        asked += 1;
        let text = answer.text();
        assert!(!text.contains(SECRET) && !text.contains("root:"), "{what}: {path}: {answer:#?}");
        // Names that are followed beneath the root may lead to a file that anybody may have.
        let good = matches!(answer.status, 400 | 403 | 404 | 414) || matches!(&*text, "home" | "text");
        assert!(good || answer.status == 307, "{what}: {path}: {answer:#?}");
        let location = answer.header("location").unwrap_or("/");
        assert!(location.starts_with('/') && !location.starts_with("//"), "{what}: {path}: {location}");
    }
    assert!(asked > 1500, "only {asked} were answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_the_root_or_to_what_is_hidden() {
    let tree = tree();
    for symlinks in ["never", "beneath"] {
        let more = format!(", symlinks: {symlinks}, hide: [/private, \"*.map\"]");
        let gateway = tree.serve(&more).await;
        assert_safe(&gateway, symlinks).await;
        let gateway = tree.serve(&format!("{more}, spa_fallback: index.html, precompressed: [gz]")).await;
        assert_safe(&gateway, symlinks).await;
    }
}

#[tokio::test]
async fn what_is_refused_is_a_400_and_what_is_hidden_looks_like_nothing() {
    let tree = tree();
    let gateway = tree.serve(", hide: [/private, \"*.map\"]").await;
    let nothing = gateway.get("/nothing").await.expect(404);
    for path in [
        "/.env",
        "/.git/config",
        "/private/key.pem",
        "/private",
        "/app.js.map",
        "/passwd",
        "/slash/etc/passwd",
        "/pipe",
    ] {
        let hidden = gateway.get(path).await.expect(404);
        let (mut ours, mut theirs) = (hidden.json(), nothing.json());
        for body in [&mut ours, &mut theirs] {
            body.as_object_mut().expect("an object").retain(|name, _| !["request_id", "instance"].contains(&&**name));
        }
        assert_eq!(ours, theirs, "{path}");
    }
    for path in ["/..%2fsecret.txt", "/%2e%2e/secret.txt", "/a%00", "/..%5c", "/%c0%ae%c0%ae/", "/%zz"] {
        assert_eq!(gateway.get(path).await.expect(400).json()["code"], "bad_path", "{path}");
    }
    assert_eq!(gateway.get("/.well-known/security.txt").await.expect(200).text(), "text");
    gateway.get("/.well-known/.hidden").await.expect(404);
}

#[tokio::test]
async fn links_beneath_the_root_are_followed_only_if_that_is_wanted() {
    let tree = Tree::new(&[("releases/2/app.js", "two")]);
    symlink("releases/2", tree.path("current")).expect("linked");
    symlink(tree.path("releases/2/app.js"), tree.path("absolute.js")).expect("linked");
    tree.serve("").await.get("/current/app.js").await.expect(404);
    let gateway = tree.serve(", symlinks: beneath").await;
    assert_eq!(gateway.get("/current/app.js").await.expect(200).text(), "two");
    gateway.get("/absolute.js").await.expect(404);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_a_403_and_what_is_below_it_too() {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::new(&[("locked.txt", SECRET), ("closed/a.txt", SECRET)]);
    for path in ["locked.txt", "closed"] {
        std::fs::set_permissions(tree.path(path), std::fs::Permissions::from_mode(0o000)).expect("set");
    }
    // Who is root may read everything.
    let expected = if std::fs::read(tree.path("locked.txt")).is_ok() { 200 } else { 403 };
    let gateway = tree.serve("").await;
    for path in ["/locked.txt", "/closed/a.txt"] {
        gateway.get(path).await.expect(expected);
    }
    std::fs::set_permissions(tree.path("closed"), std::fs::Permissions::from_mode(0o700)).expect("set");
}

#[tokio::test]
async fn a_root_that_is_taken_away_is_nothing_and_no_failure() {
    let tree = Tree::new(&[("a.txt", "text")]);
    let gateway = tree.serve("").await;
    std::fs::rename(tree.root(), tree.root().with_extension("old")).expect("renamed");
    assert_eq!(gateway.get("/a.txt").await.expect(200).text(), "text", "it was opened once");
    std::fs::remove_dir_all(tree.root().with_extension("old")).expect("removed");
    gateway.get("/a.txt").await.expect(404);
}
