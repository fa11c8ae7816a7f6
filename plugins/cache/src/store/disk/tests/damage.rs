//! Files that are not as they were written.

use super::*;

/// What a damaged file gave, if not a miss.
async fn served(disk: &Arc<Disk>) -> Option<(String, Vec<u8>)> {
    // Past the index, which says what the folder had when it was listed.
    let mut hit = hit::look(disk, disk.id(&slot(1)), &stored_key(&slot(1), &key(1))).ok()??;
    let body = read_all(&mut hit).await.expect("a short body is checked before it is found");
    Some((format!("{:?}", hit.head()), body))
}

#[tokio::test]
async fn a_byte_changed_or_missing_anywhere_is_a_miss_or_the_right_answer() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let disk = zone.open().await;
        let (body, turns) = (a_body(300), 3);
        store(&disk, 1, &body).await;
        for turn in 1..=turns {
            assert!(disk.replace_head(&slot(1), &key(1), &renewed(turn)).await);
        }
        let heads: Vec<String> =
            [a_head()].into_iter().chain((1..=turns).map(renewed)).map(|head| format!("{head:?}")).collect();
        let path = disk.place.folder.of(disk.id(&slot(1)));
        let whole = fs::read(&path).expect("the file");
        let flips = (0..whole.len()).flat_map(|at| {
            [1, 0x80, 0xff].map(|bits| {
                let mut bytes = whole.clone();
                bytes[at] ^= bits;
                bytes
            })
        });
        let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
        let longer = [vec![0; 1], vec![0; 5000], whole.clone()].map(|more| [whole.clone(), more].concat());
        let (mut misses, mut right) = (0, 0);
        for bytes in flips.chain(cuts).chain(longer) {
            fs::write(&path, &bytes).expect("written");
            match served(&disk).await {
                None => misses += 1,
                Some((head, served)) => {
                    assert!(heads.contains(&head) && served == body);
                    right += 1;
                }
            }
        }
        assert!(misses > 300 && right > 300, "{misses} misses, {right} right answers");
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, &whole).expect("written");
        assert_eq!(served(&disk).await, Some((heads[3].clone(), body.to_vec())));
    }
}

#[tokio::test]
async fn a_damaged_file_is_removed_and_counted() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    store(&disk, 1, b"one").await;
    let path = &zone.files()[0];
    let mut bytes = fs::read(path).expect("the file");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(path, bytes).expect("written");
    assert!(find(&disk, 1).await.is_none());
    assert_eq!((disk.metrics.reads.broken.get(), disk.metrics.objects.get()), (1, 0));
    assert_eq!(zone.files(), [] as [PathBuf; 0]);
    store(&disk, 1, b"one again").await;
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(b"one again".as_slice()));
}

#[tokio::test]
async fn of_a_long_body_nothing_is_passed_on_that_is_not_right() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let body = a_body(2_000_000);
        for at in [70_000, 1_000_000, 1_999_900] {
            let disk = zone.open().await;
            store(&disk, 1, &body).await;
            let path = &zone.files()[0];
            let mut bytes = fs::read(path).expect("the file");
            bytes[at] ^= 1;
            fs::write(path, bytes).expect("written");
            let mut hit = find(&disk, 1).await.expect("its head is right");
            let mut got = Vec::new();
            let error = loop {
                match hit.read(got.len() as u64, 30_000).await {
                    Ok(piece) if piece.is_empty() => panic!("the end"),
                    Ok(piece) => got.extend_from_slice(&piece),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(got.len() <= at && body.starts_with(&got));
            assert!(find(&disk, 1).await.is_none(), "it is removed");
        }
    }
}

#[tokio::test]
async fn blocks_in_each_other_s_place_are_damage() {
    for zone in [Zone::plain(), Zone::sealed()] {
        let disk = zone.open().await;
        store(&disk, 1, &a_body(200_000)).await;
        let path = &zone.files()[0];
        let bytes = fs::read(path).expect("the file");
        let from = bytes.len() - (200_000 + 4 * 16);
        let block = 65_536 + 16;
        let swapped = [
            &bytes[..from],
            &bytes[from + block..from + 2 * block],
            &bytes[from..from + block],
            &bytes[from + 2 * block..],
        ];
        fs::write(path, swapped.concat()).expect("written");
        assert!(find(&disk, 1).await.is_none());
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_a_miss() {
    let zone = Zone::plain();
    let disk = zone.open().await;
    let path = disk.place.folder.of(disk.id(&slot(1)));
    let folder = path.parent().expect("a folder");
    for content in [Vec::new(), b"hello".to_vec(), vec![0; 100_000], vec![0xff; 100_000]] {
        store(&disk, 1, b"one").await;
        fs::write(&path, content).expect("written");
        assert!(find(&disk, 1).await.is_none());
    }
    store(&disk, 1, b"one").await;
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("a folder in its place");
    assert!(find(&disk, 1).await.is_none());
    fs::remove_dir_all(folder).expect("removed");
    store(&disk, 1, b"one").await;
    assert_eq!(body_of(&disk, 1).await.as_deref(), Some(b"one".as_slice()));
}
