//! Where a change of a file is seen.

use std::path::{Path, PathBuf};

/// The folders in which something must change for this file to change: that of each link on the way to it.
pub fn folders_of(file: &Path) -> Vec<PathBuf> {
    const MOST_LINKS: usize = 16;
    let folder_of = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut folders = Vec::new();
    let mut at = file.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = folder_of(&at);
        // A link above the file: Kubernetes swaps `..data`, through which the files are reached.
        folders.extend(folder.read_link().is_ok().then(|| folder_of(&folder)));
        let target = at.read_link();
        folders.push(folder.clone());
        match target {
            Ok(target) => at = folder.join(target),
            Err(_) => break,
        }
    }
    folders.retain(|folder| folder.is_dir());
    folders
}
