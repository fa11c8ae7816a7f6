//! A process that is killed, or that has no room left on the disk, at any moment: what it has acknowledged is there.
//!
//! The process is this test program itself, told by its environment to be the one that writes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use super::*;

const FILE: &str = "TIDEGATE_TEST_STORE";
const CHILD: &str = "store::file::tests::crash::child";
const ROUNDS: u64 = 30;

/// Writes until it is ended, and says of each what was acknowledged: a new user, a user who was changed, a login that
/// was ended and what was revoked with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let file = Arc::new(OpenFile::open(Path::new(&file)).expect("the file"));
    let store = Arc::new(store(&file));
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(write(store.clone()))).collect();
    for writer in writers {
        let error = writer.await.expect("no panic");
        println!("failed {error}");
    }
}

async fn write(store: Arc<FileStore>) -> StoreError {
    loop {
        if let Err(error) = write_one(&store).await {
            return error;
        }
    }
}

async fn write_one(store: &FileStore) -> Result<(), StoreError> {
    let (t, user) = (now(), a_user(&Id::random().text()));
    assert!(store.create_user(&user).await?);
    println!("created {}", user.name);
    let session = a_session(user.id, t);
    store.open_session(&session, 10).await?;
    assert!(store.update_user(&User { disabled: true, ..user.clone() }).await?);
    println!("changed {}", user.name);
    let revoke = Revocation { what: Revoked::Session(session.id), before: u64::MAX, until: t.plus(secs(900)) };
    assert!(store.end_session(user.id, session.id, &[revoke]).await?);
    println!("ended {}", session.id.text());
    Ok(())
}

/// What the child said.
#[derive(Default)]
struct Said {
    /// And whether the change to the user was acknowledged, too.
    users: BTreeMap<String, bool>,
    sessions: Vec<Id>,
    failed: Vec<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("created", name)) => drop(self.users.insert(name.to_owned(), false)),
            Some(("changed", name)) => drop(self.users.insert(name.to_owned(), true)),
            Some(("ended", id)) => self.sessions.extend(Id::parse(id)),
            Some(("failed", why)) => self.failed.push(why.to_owned()),
            // What the test harness says.
            _ => {}
        }
    }

    /// All of it is in the file.
    async fn check(&self, store: &FileStore) {
        for (name, changed) in &self.users {
            let user = store.user_named(name).await.expect("an answer").expect("an acknowledged user");
            assert_eq!(store.user(user.id).await.expect("an answer").as_ref(), Some(&user));
            assert!(user.disabled || !changed, "an acknowledged change");
        }
        for id in &self.sessions {
            assert!(store.is_revoked(&[Revoked::Session(*id)], 0, now()).await.expect("an answer"));
            assert_eq!(store.session(*id, now()).await.expect("an answer"), None);
        }
    }
}

fn is_acknowledged(line: &str) -> bool {
    ["created ", "changed ", "ended "].iter().any(|kind| line.starts_with(kind))
}

fn spawn(mut command: Command, folder: &TempDir) -> (Child, mpsc::Receiver<String>) {
    command.env(FILE, path(folder)).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("this program");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let (lines, heard) = mpsc::channel();
    // Whatever it wrote before it was killed is read to the end.
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    (child, heard)
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", CHILD, "--nocapture", "--test-threads", "1"]);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_it_is_killed() {
    let folder = tempfile::tempdir().expect("a folder on a disk");
    let (mut users, mut sessions) = (0, 0);
    for round in 0..ROUNDS {
        let (mut child, heard) = spawn(this_program(), &folder);
        let mut said = Said::default();
        // After so much, however fast the disk is; and not always as long after it was acknowledged.
        for _ in 0..=round {
            said.hear(&heard.iter().find(|line| is_acknowledged(line)).expect("it writes"));
        }
        thread::sleep(Duration::from_micros(130 * (round % 8)));
        child.kill().expect("its own child");
        child.wait().expect("its own child");
        heard.iter().for_each(|line| said.hear(&line));
        said.check(&store(&open_file(&folder))).await;
        users += said.users.len();
        sessions += said.sessions.len();
    }
    assert!(users > 60 && sessions > 10, "{users} users and {sessions} logouts in {ROUNDS} rounds prove little");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_there_is_no_room_left() {
    let folder = tempfile::tempdir().expect("a folder on a disk");
    drop(open_file(&folder));
    let room = path(&folder).metadata().expect("a file").len() / 512 + 100;
    let mut shell = Command::new("sh");
    // Its signal is ignored, so that a write beyond the limit fails as it does on a full disk.
    shell.args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""]).arg(room.to_string());
    let program = this_program();
    shell.arg(program.get_program()).args(program.get_args());
    let (mut child, heard) = spawn(shell, &folder);
    let mut said = Said::default();
    heard.iter().for_each(|line| said.hear(&line));
    child.wait().expect("its own child");
    assert_eq!(said.failed.len(), 8, "{:?}", said.failed);
    // The database may panic where a write fails.
    let expected = |why: &String| why.contains("I/O error") || why.contains("its disk is full");
    assert!(said.failed.iter().all(expected), "{:?}", said.failed);
    assert!(!said.users.is_empty());
    let store = store(&open_file(&folder));
    said.check(&store).await;
    assert!(store.create_user(&a_user("ada")).await.expect("there is room again"));
}
