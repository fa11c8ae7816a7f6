//! Both kinds of list say the same.

use std::io::Write;

use super::*;

fn hex(hash: &Sha1) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn disk(content: &[u8]) -> Result<SortedFile, String> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content).expect("written");
    SortedFile::open(file, content.len() as u64)
}

/// The SHA-1 of `password` as Have I Been Pwned has it.
#[test]
fn a_line_is_a_hash_with_or_without_a_count_or_a_password() {
    let known = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
    assert_eq!(hash_of(known.as_bytes()), Some(sha1(b"password")));
    for line in [format!("{known}:10434004"), known.to_lowercase(), format!("{known}:")] {
        assert_eq!(hash_of(line.as_bytes()), Some(sha1(b"password")), "{line}");
    }
    for line in [&known[..39], &format!("{known}x"), &format!("{known}:1x"), &known.replace('5', "g"), ""] {
        assert_eq!(hash_of(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn a_list_in_memory_has_passwords_and_hashes_in_any_order_and_any_bytes() {
    let hash = hex(&sha1(b"letmein"));
    let list = [b"zebra\r\n", hash.as_bytes(), b":3\n\n\xff\nhunter2"].concat();
    let list = InMemory::read(&*list, 1 << 20).expect("read");
    for known in ["zebra", "letmein", "hunter2"] {
        assert!(list.contains(&sha1(known.as_bytes())), "{known}");
    }
    assert!(!list.contains(&sha1(b"")) && !list.contains(&sha1(b"zebra\r")));
}

#[test]
fn a_list_on_disk_finds_each_of_its_lines_and_nothing_else() {
    for (end, count) in [("\n", true), ("\r\n", true), ("\n", false)] {
        for lines in [1, 2, 3, 500] {
            let mut hashes: Vec<Sha1> = (0..lines).map(|nth: u32| sha1(&nth.to_be_bytes())).collect();
            hashes.sort();
            let line = |(nth, hash)| if count { format!("{}:{}", hex(hash), nth * 997) } else { hex(hash) };
            let mut text = hashes.iter().enumerate().map(line).collect::<Vec<_>>().join(end);
            for ending in ["", end] {
                text += ending;
                let list = disk(text.as_bytes()).expect("sorted");
                assert!(hashes.iter().all(|hash| list.contains(hash).expect("read")), "{lines} {end:?}");
                assert!((lines..lines + 500).all(|nth| !list.contains(&sha1(&nth.to_be_bytes())).expect("read")));
                assert!(!list.contains(&[0; 20]).expect("read") && !list.contains(&[255; 20]).expect("read"));
            }
        }
    }
}

#[test]
fn a_long_file_that_is_not_sorted_or_no_list_is_refused() {
    let mut hashes: Vec<String> = (0..5000_u32).map(|nth| hex(&sha1(&nth.to_be_bytes()))).collect();
    hashes.sort();
    hashes.reverse();
    assert!(disk(hashes.join("\n").as_bytes()).err().expect("not sorted").contains("not sorted"));
    assert!(disk(b"correct horse battery staple\n").err().expect("no list").contains("no SHA-1"));
    assert!(disk(&[b'a'; 4096]).is_err() && disk(b"").is_err());
}
