//! `tidegate cache warm`: begins a run, and shows how far it has got.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::Value;

use super::ask::Admin;

/// How many URLs one call to the admin listener takes, and how many bytes.
const BATCH: (usize, usize) = (100, 4 * 1024);
/// Longest list that is read, in bytes.
const LONGEST: u64 = 16 << 20;
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct Warm {
    /// URLs, with scheme and host as clients write them. Without any: all that the configuration lists.
    urls: Vec<String>,
    /// A file of URLs, one a line; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
}

impl Warm {
    pub(super) fn run(self, admin: &Admin) -> Result<String, String> {
        let mut urls = self.urls;
        if let Some(list) = &self.list {
            let text = read(list).map_err(|error| format!("{}: {error}", list.display()))?;
            urls.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
        if self.list.is_some() && urls.is_empty() {
            return Err("the list has no URLs".to_owned());
        }
        let (mut requests, mut failed, all) = (0, 0, urls.len());
        let mut batches = batches(urls);
        if batches.is_empty() {
            batches.push(Vec::new());
        }
        let mut begun = 0;
        for batch in batches {
            begun += batch.len();
            let query: Vec<_> = batch.into_iter().map(|url| ("url", url)).collect();
            admin.ask(Method::POST, "warm", &query)?;
            let done = wait(admin, begun, all)?;
            requests += number(&done, "requests");
            failed += number(&done, "failed");
        }
        match failed {
            0 => Ok(format!("warm: {requests} requests")),
            _ => Err(format!("{failed} of {requests} requests failed; the gateway's log at level debug says why")),
        }
    }
}

fn number(progress: &Value, name: &str) -> u64 {
    progress[name].as_u64().unwrap_or_default()
}

/// Waits for the end of a run. A run begins a moment after it was asked for.
fn wait(admin: &Admin, begun: usize, all: usize) -> Result<Value, String> {
    let terminal = std::io::stderr().is_terminal();
    loop {
        sleep(LOOK);
        let progress = admin.ask(Method::GET, "warm", &[])?;
        if terminal {
            let (done, requests) = (number(&progress, "done"), number(&progress, "requests"));
            eprint!("\r{done} of {requests} requests");
            if all > begun {
                eprint!(" ({begun} of {all} URLs)");
            }
            let _ = std::io::stderr().flush();
        }
        if progress["running"] == Value::Bool(false) {
            if terminal {
                eprintln!();
            }
            return Ok(progress);
        }
    }
}

fn read(path: &PathBuf) -> std::io::Result<String> {
    let mut text = String::new();
    match path.as_os_str() == "-" {
        true => std::io::stdin().take(LONGEST).read_to_string(&mut text)?,
        false => std::fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?,
    };
    Ok(text)
}

/// In as many calls as it takes.
fn batches(urls: Vec<String>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for url in urls {
        bytes += url.len() * 3;
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH.0 && bytes < BATCH.1 => batch.push(url),
            _ => {
                bytes = url.len() * 3;
                batches.push(vec![url]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_takes_several_calls() {
        let urls: Vec<String> = (0..250).map(|n| format!("https://shop.example/{n}")).collect();
        let batches = batches(urls.clone());
        assert!(batches.len() >= 3 && batches.iter().all(|batch| batch.len() <= 100));
        assert_eq!(batches.concat(), urls);
    }
}
