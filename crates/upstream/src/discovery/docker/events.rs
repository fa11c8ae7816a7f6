//! `GET /events`: what happens to containers, as it happens.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::or_default;
use crate::client::Answer;

/// An open stream of events, one JSON object after the other.
pub(super) struct Events {
    answer: Answer,
    /// The beginning of an event whose end has not come yet.
    partial: Vec<u8>,
}

/// What is of use of an event.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Event {
    #[serde(deserialize_with = "or_default")]
    action: String,
    #[serde(deserialize_with = "or_default")]
    actor: Actor,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Actor {
    #[serde(rename = "ID", deserialize_with = "or_default")]
    id: String,
    #[serde(rename = "Attributes", deserialize_with = "or_default")]
    attributes: Attributes,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "or_default")]
    signal: String,
}

/// Docker is silent for as long as nothing happens.
const SILENCE: Duration = Duration::from_secs(24 * 3600);
const LONGEST_EVENT: usize = 256 * 1024;
/// Ids kept of containers that are told to stop.
const MOST_STOPPING: usize = 10_000;
/// HUP and the like are no farewell; these are: INT, QUIT, KILL, TERM.
const LAST_SIGNALS: [&str; 4] = ["2", "3", "9", "15"];

impl Events {
    pub(super) fn new(mut answer: Answer) -> Self {
        answer.set_idle(SILENCE);
        Self { answer, partial: Vec::new() }
    }

    /// Waits until something has happened that may change the list; notes who was told to stop. `false`: there are
    /// no more events.
    pub(super) async fn next(&mut self, stopping: &mut BTreeSet<String>) -> bool {
        loop {
            let Ok(Some(chunk)) = self.answer.chunk().await else { return false };
            self.partial.extend_from_slice(&chunk);
            let Some(events) = self.take() else { return false };
            let matters = events.iter().filter(|event| event.matters()).count() > 0;
            events.iter().for_each(|event| event.note(stopping));
            if matters {
                return true;
            }
        }
    }

    /// The events that are there in full; `None` if that is no stream of events.
    fn take(&mut self) -> Option<Vec<Event>> {
        let (events, read) = parse(&self.partial)?;
        self.partial.drain(..read);
        (self.partial.len() <= LONGEST_EVENT).then_some(events)
    }
}

/// The whole events at the beginning of `text`, and how many bytes they take.
fn parse(text: &[u8]) -> Option<(Vec<Event>, usize)> {
    let mut stream = serde_json::Deserializer::from_slice(text).into_iter::<Event>();
    let (mut events, mut read) = (Vec::new(), 0);
    loop {
        match stream.next() {
            Some(Ok(event)) => {
                events.push(event);
                read = stream.byte_offset();
            }
            Some(Err(error)) if error.is_eof() => return Some((events, read)),
            Some(Err(_)) => return None,
            None => return Some((events, text.len())),
        }
    }
}

impl Event {
    /// `exec_create` and the like happen with each of Docker's own health checks, and change nothing.
    fn matters(&self) -> bool {
        let actions = ["start", "die", "stop", "kill", "destroy", "pause", "unpause", "rename", "update", "restart"];
        actions.contains(&&*self.action) || self.action.starts_with("health_status")
    }

    fn note(&self, stopping: &mut BTreeSet<String>) {
        match &*self.action {
            "kill" if LAST_SIGNALS.contains(&&*self.actor.attributes.signal) && stopping.len() < MOST_STOPPING => {
                stopping.insert(self.actor.id.clone());
            }
            "start" => {
                stopping.remove(&self.actor.id);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: &str = r#"{"status":"kill","id":"abc","Type":"container","Action":"kill","Actor":{"ID":"abc","Attributes":{"signal":"15","name":"a"}},"time":1}"#;

    fn noted(text: &str) -> BTreeSet<String> {
        let mut stopping = BTreeSet::from(["old".to_owned()]);
        parse(text.as_bytes()).unwrap().0.iter().for_each(|event| event.note(&mut stopping));
        stopping
    }

    #[test]
    fn events_are_read_one_after_the_other_across_pieces() {
        let two = format!("{KILL}\n{KILL}\n");
        for cut in 0..two.len() {
            let (first, read) = parse(&two.as_bytes()[..cut]).unwrap();
            let (rest, _) = parse(&two.as_bytes()[read..]).unwrap();
            assert_eq!(first.len() + rest.len(), 2, "cut at {cut}");
        }
        assert_eq!(parse(b"<html>"), None);
        assert_eq!(parse(br#"{"Action":"start","Actor":{"ID":"a","Attributes":null}}"#).unwrap().0.len(), 1);
        assert_eq!(parse(b"\n \n").unwrap().1, 3);
    }

    #[test]
    fn a_container_is_stopping_from_the_signal_on_until_it_starts() {
        assert!(noted(KILL).contains("abc"));
        assert!(!noted(&KILL.replace("\"15\"", "\"1\"")).contains("abc"), "HUP is no farewell");
        let start = r#"{"Action":"start","Actor":{"ID":"old"}}"#;
        assert!(noted(start).is_empty());
    }

    #[test]
    fn only_events_that_can_change_the_list_matter() {
        for (action, matters) in [("start", true), ("health_status: healthy", true), ("exec_start: sh", false)] {
            assert_eq!(Event { action: action.to_owned(), ..Event::default() }.matters(), matters, "{action}");
        }
    }
}
