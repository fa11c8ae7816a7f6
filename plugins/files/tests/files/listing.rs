//! Folders that show what is in them.

use tidegate_core::Method;

use crate::Tree;

#[tokio::test]
async fn a_folder_is_listed_only_if_it_is_asked_for_and_without_what_is_hidden() {
    let files = [
        ("a b.txt", "1"),
        ("<i>.txt", "2"),
        (".env", "3"),
        ("sub/x", "4"),
        ("app.map", "5"),
        ("house/index.html", "6"),
    ];
    let tree = Tree::new(&files);
    std::os::unix::fs::symlink("/etc/passwd", tree.path("passwd")).expect("linked");
    std::os::unix::fs::symlink("a b.txt", tree.path("link")).expect("linked");
    tree.serve("").await.get("/").await.expect(404);
    for (symlinks, linked) in [("never", false), ("beneath", true)] {
        let gateway = tree.serve(&format!(", listing: html, hide: [\"*.map\"], symlinks: {symlinks}")).await;
        let page = gateway.get("/").await.expect(200);
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("content-security-policy"), Some("default-src 'none'"));
        let text = page.text();
        for shown in ["href=\"a%20b.txt\"", "href=\"%3Ci%3E.txt\">&lt;i&gt;.txt<", "href=\"sub/\"", "href=\"house/\""] {
            assert!(text.contains(shown), "no {shown} in {text}");
        }
        for hidden in [".env", "app.map", "passwd", "<i>"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        assert_eq!(text.contains("href=\"link\""), linked);
        gateway.get("/a%20b.txt").await.expect(200);
        assert_eq!(gateway.get("/house/").await.expect(200).text(), "6");
        assert_eq!(gateway.get("/sub").await.expect(307).header("location"), Some("/sub/"));
        let head = gateway.request(Method::HEAD, "/").send().await.expect(200);
        assert_eq!(head.header("content-length"), page.header("content-length"));
    }
}
