//! What is in a folder, as a page.

use std::fmt::Write;
use std::fs::File;
use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{Dir, FileType};
use tidegate_core::Bytes;

/// The most names that are shown.
const MOST: usize = 1_000;
/// The most names that are looked at.
const LOOKED_AT: usize = 10_000;
/// RFC 3986 section 2.3: all else is encoded, so that no name is a scheme, a host, a query or markup.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Folders first, then by name.
type Entry = (bool, Box<str>);

/// The page of an open folder. `shown` says whether a name is to be seen, and whether it is a folder; it is asked about
/// names only where the folder itself doesn't say what they are.
pub(crate) fn page(
    folder: &File,
    path: &str,
    shown: impl Fn(&str, Option<FileType>) -> Option<bool>,
) -> io::Result<Bytes> {
    let (mut entries, mut more) = (Vec::<Entry>::new(), false);
    for (seen, entry) in Dir::read_from(folder)?.enumerate() {
        let entry = entry?;
        // Who asks for a name asks in UTF-8.
        let Ok(name) = entry.file_name().to_str() else { continue };
        if seen >= LOOKED_AT {
            more = true;
            break;
        }
        let kind = Some(entry.file_type()).filter(|kind| !matches!(kind, FileType::Unknown | FileType::Symlink));
        if let Some(is_folder) =
            Some(name).filter(|name| !matches!(*name, "." | "..")).and_then(|name| shown(name, kind))
        {
            entries.push((!is_folder, name.into()));
        }
    }
    entries.sort_unstable();
    more |= entries.len() > MOST;
    entries.truncate(MOST);
    Ok(written(path, &entries, more).into())
}

fn written(path: &str, entries: &[Entry], more: bool) -> String {
    let mut page = String::with_capacity(256 + 64 * entries.len());
    let title = Escaped(path);
    // Writing to a String can't fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>/{title}</title>\n<h1>/{title}</h1>\n<ul>\n"
    );
    if !path.is_empty() {
        page.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for (is_file, name) in entries {
        let slash = if *is_file { "" } else { "/" };
        let encoded = utf8_percent_encode(name, NAME);
        let _ = writeln!(page, "<li><a href=\"{encoded}{slash}\">{}{slash}</a></li>", Escaped(name));
    }
    page.push_str("</ul>\n");
    if more {
        page.push_str("<p>There is more than is shown here.</p>\n");
    }
    page.push_str("</html>\n");
    page
}

/// A text inside of markup.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|one| match one {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_escaped_and_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = ["b", "a", "<script>alert(1)</script>", "javascript:x", "ä ö?#%", "hidden"];
        for name in names.into_iter().filter(|name| !name.contains('/')) {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        std::fs::write(folder.path().join("<b>&\"'"), "").expect("written");
        std::fs::create_dir(folder.path().join("z")).expect("made");
        let open = File::open(folder.path()).expect("open");
        let shown =
            |name: &str, kind: Option<FileType>| (name != "hidden").then_some(kind == Some(FileType::Directory));
        let page = page(&open, "x<y", shown).expect("a page");
        let page = std::str::from_utf8(&page).expect("text");
        let links: Vec<_> = page.split("<li><a href=").skip(1).filter_map(|rest| rest.split("</a>").next()).collect();
        assert_eq!(
            links,
            [
                "\"../\">../",
                "\"z/\">z/",
                "\"%3Cb%3E%26%22%27\">&lt;b&gt;&amp;&quot;&#39;",
                "\"a\">a",
                "\"b\">b",
                "\"javascript%3Ax\">javascript:x",
                "\"%C3%A4%20%C3%B6%3F%23%25\">ä ö?#%",
            ]
        );
        assert!(page.contains("<h1>/x&lt;y</h1>") && !page.contains("hidden") && !page.contains("more than"), "{page}");
    }

    #[test]
    fn a_folder_with_too_many_names_shows_some_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in 0..MOST + 1 {
            std::fs::write(folder.path().join(name.to_string()), "").expect("written");
        }
        let open = File::open(folder.path()).expect("open");
        let page = page(&open, "", |_, _| Some(false)).expect("a page");
        let page = std::str::from_utf8(&page).expect("text");
        assert_eq!(page.matches("<li>").count(), MOST);
        assert!(page.contains("There is more") && !page.contains("../"), "{page}");
    }
}
