//! `type: file`.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::Running;
use crate::support::until;

fn yaml(path: &Path) -> String {
    format!("app: {{ discovery: [{{ type: file, path: \"{}\" }}] }}", path.display())
}

#[tokio::test]
async fn a_file_is_read_before_the_first_request_and_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.yaml");
    std::fs::write(&path, "- 10.0.0.1:80\n- { address: '10.0.0.2:80', weight: 2 }\n").unwrap();
    let app = Running::start(&yaml(&path)).await;
    app.assert_serves(&["10.0.0.1:80", "10.0.0.2:80"]);

    std::fs::write(&path, r#"{"targets": ["10.0.0.2:80", "10.0.0.3:80"]}"#).unwrap();

    app.until_it_serves(&["10.0.0.2:80", "10.0.0.3:80"]).await;
}

#[tokio::test]
async fn a_file_that_an_editor_replaces_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.yaml");
    std::fs::write(&path, "['10.0.0.1:80']").unwrap();
    let app = Running::start(&yaml(&path)).await;

    for last in 2..5 {
        let new = folder.path().join(".app.yaml.new");
        std::fs::write(&new, format!("['10.0.0.{last}:80']")).unwrap();
        std::fs::rename(&new, &path).unwrap();
        app.until_it_serves(&[&format!("10.0.0.{last}:80")]).await;
    }
}

#[tokio::test]
async fn a_config_map_that_kubernetes_swaps_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.yaml");
    let version = |name: &str, list: &str| {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("app.yaml"), list).unwrap();
        symlink(name, folder.path().join("..data_tmp")).unwrap();
        std::fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    };
    version("..1", "['10.0.0.1:80']");
    symlink("..data/app.yaml", &path).unwrap();
    let app = Running::start(&yaml(&path)).await;
    app.assert_serves(&["10.0.0.1:80"]);

    version("..2", "['10.0.0.2:80']");
    app.until_it_serves(&["10.0.0.2:80"]).await;
    version("..3", "['10.0.0.3:80']");
    app.until_it_serves(&["10.0.0.3:80"]).await;
}

#[tokio::test]
async fn a_file_that_is_wrong_or_gone_keeps_the_last_good_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.yaml");
    std::fs::write(&path, "['10.0.0.1:80']").unwrap();
    let app = Running::start(&yaml(&path)).await;

    let wrongs: [&dyn Fn(); 4] = [
        &|| std::fs::write(&path, "- 10.0.0.9:80\n- http://nowhere\n").unwrap(),
        &|| std::fs::write(&path, "- { address: '10.0.0.9:80', weight: 0 }").unwrap(),
        &|| std::fs::write(&path, "").unwrap(),
        &|| std::fs::remove_file(&path).unwrap(),
    ];
    for (failures, wrong) in (1..).zip(wrongs) {
        wrong();
        until("the source fails", || app.counted("failures", "file") == failures).await;
        app.assert_serves(&["10.0.0.1:80"]);
    }

    std::fs::write(&path, "['10.0.0.2:80']").unwrap();
    app.until_it_serves(&["10.0.0.2:80"]).await;
}

#[tokio::test]
async fn a_file_may_come_late_and_say_that_there_is_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.yaml");
    let app = Running::start(&yaml(&path)).await;
    app.assert_serves(&[]);

    std::fs::write(&path, "['10.0.0.1:80']").unwrap();
    app.until_it_serves(&["10.0.0.1:80"]).await;

    std::fs::write(&path, "targets: []").unwrap();
    app.until_it_serves(&[]).await;
}
