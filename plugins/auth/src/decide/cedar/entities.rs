//! Entities that are known before anybody asks, and which of them a request needs.
//!
//! Cedar works out who is in what for every set of entities that it is given. It is given what can be reached from the
//! request and from the policies alone, however many are known.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Entities, Entity, EntityUid, Schema};
use serde_json::{Map, Value};
use tidegate_core::{ConfigError, ConfigErrors};

use super::files::{faults, read};
use super::value::{Attributes, Escapes, attributes, uid};

/// The entities of the file, and the actions of the schema.
#[derive(Debug)]
pub(super) struct Known {
    nodes: Vec<Node>,
    places: HashMap<EntityUid, usize>,
    /// What policies speak of, and all that can be reached from it: part of every request.
    base: Entities,
    in_base: HashSet<usize>,
}

#[derive(Debug)]
struct Node {
    entity: Entity,
    attributes: Attributes,
    tags: Attributes,
    parents: HashSet<EntityUid>,
    /// What it is in, and what its attributes speak of.
    reaches: Vec<usize>,
}

/// An entity of a request: what is known of it, and more.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) uid: EntityUid,
    /// What the request makes of it; what is known wins.
    pub(super) guessed: Attributes,
    /// What a service says of it now, which wins over what is known, and the entities that it speaks of.
    pub(super) said: Option<Said>,
    pub(super) parents: Vec<EntityUid>,
}

/// What a service says of an entity.
#[derive(Debug, Clone)]
pub(super) struct Said {
    attributes: Attributes,
    speaks_of: Vec<EntityUid>,
}

impl Said {
    pub(super) fn new(object: &Map<String, Value>) -> Self {
        let mut speaks_of = Vec::new();
        object.values().for_each(|value| uids_in(value, &mut |uid| speaks_of.push(uid)));
        Self { attributes: attributes(object, Escapes::Read), speaks_of }
    }
}

impl Known {
    /// Errors are relative to `cedar`.
    pub(super) fn load(path: Option<&Path>, schema: Option<&Schema>) -> Result<Self, ConfigErrors> {
        let entities = match path {
            Some(path) => from_file(path, schema)?,
            None => from_schema(schema)?,
        };
        Self::new(&entities).map_err(|why| ConfigError::at("entities", why).into())
    }

    fn new(entities: &Entities) -> Result<Self, String> {
        let places: HashMap<_, _> = entities.iter().enumerate().map(|(at, entity)| (entity.uid(), at)).collect();
        let nodes = entities.iter().map(|entity| Node::new(entity, &places)).collect::<Result<_, _>>()?;
        Ok(Self { nodes, places, base: Entities::empty(), in_base: HashSet::new() })
    }

    /// The same, with what is spoken of in policies.
    pub(super) fn spoken_of(mut self, uids: impl Iterator<Item = EntityUid>) -> Result<Self, ConfigErrors> {
        let mut found = HashSet::new();
        uids.for_each(|uid| self.reach(&uid, &mut found));
        let entities = found.iter().filter_map(|at| self.nodes.get(*at)).map(|node| node.entity.clone());
        let base = Entities::from_entities(entities, None);
        self.base = base.map_err(|error| ConfigError::at("entities", error.to_string()))?;
        self.in_base = found;
        Ok(self)
    }

    /// The entities that a request needs: these, its action, and all that can be reached from them.
    pub(super) fn around(&self, seen: Vec<Seen>, action: &EntityUid) -> Result<Entities, String> {
        let mut found = HashSet::new();
        self.reach(action, &mut found);
        for one in &seen {
            self.reach(&one.uid, &mut found);
            one.parents.iter().for_each(|parent| self.reach(parent, &mut found));
            let spoken_of = one.said.iter().flat_map(|said| &said.speaks_of);
            spoken_of.for_each(|uid| self.reach(uid, &mut found));
        }
        let more = found.difference(&self.in_base).filter_map(|at| self.nodes.get(*at));
        let mut entities: Vec<Entity> = more.map(|node| node.entity.clone()).collect();
        for one in each_once(seen) {
            entities.push(self.merged(one)?);
        }
        // The request's own come last, and so in place of what is known of them.
        self.base.clone().upsert_entities(entities, None).map_err(|error| error.to_string())
    }

    fn merged(&self, seen: Seen) -> Result<Entity, String> {
        let known = self.places.get(&seen.uid).and_then(|at| self.nodes.get(*at));
        let (mut attributes, mut parents) = (seen.guessed, seen.parents.into_iter().collect::<HashSet<_>>());
        let mut tags = Attributes::new();
        if let Some(node) = known {
            attributes.extend(node.attributes.clone());
            parents.extend(node.parents.iter().cloned());
            tags.clone_from(&node.tags);
        }
        attributes.extend(seen.said.map(|said| said.attributes).unwrap_or_default());
        Entity::new_with_tags(seen.uid, attributes, parents, tags).map_err(|error| error.to_string())
    }

    fn reach(&self, uid: &EntityUid, found: &mut HashSet<usize>) {
        let mut next: Vec<usize> = self.places.get(uid).copied().into_iter().collect();
        while let Some(at) = next.pop() {
            if !self.in_base.contains(&at) && found.insert(at) {
                next.extend(self.nodes.get(at).iter().flat_map(|node| &node.reaches));
            }
        }
    }

    /// The types of all that are known.
    pub(super) fn has_type(&self, name: &str) -> bool {
        self.places.keys().any(|uid| uid.type_name().to_string() == name)
    }
}

/// Whoever asks for what is known of themselves is one entity, with the roles of the one and the attributes of the other.
fn each_once(seen: Vec<Seen>) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::with_capacity(seen.len());
    for one in seen {
        match all.iter_mut().find(|other| other.uid == one.uid) {
            Some(other) => {
                other.guessed.extend(one.guessed);
                other.said = other.said.take().or(one.said);
                other.parents.extend(one.parents);
            }
            None => all.push(one),
        }
    }
    all
}

impl Node {
    fn new(entity: &Entity, places: &HashMap<EntityUid, usize>) -> Result<Self, String> {
        let json = entity.to_json_value().map_err(|error| error.to_string())?;
        let mut reaches = Vec::new();
        uids_in(&json, &mut |uid| reaches.extend(places.get(&uid)));
        let (uid, attributes, parents) = entity.clone().into_inner();
        Ok(Self { entity: entity.clone(), attributes, tags: tags(&uid, &json)?, parents, reaches })
    }
}

/// Cedar gives attributes, but not tags: read once more as the attributes of another entity, they are.
fn tags(uid: &EntityUid, json: &Value) -> Result<Attributes, String> {
    let Some(tags) = json.get("tags").filter(|tags| tags.as_object().is_some_and(|tags| !tags.is_empty())) else {
        return Ok(Attributes::new());
    };
    let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
    let bearer = serde_json::json!({ "uid": { "type": kind, "id": id }, "attrs": tags, "parents": [] });
    let bearer = Entity::from_json_value(bearer, None).map_err(|error| error.to_string())?;
    Ok(bearer.into_inner().1)
}

/// Everything in it that looks like an entity: too many are no harm.
fn uids_in(json: &Value, each: &mut impl FnMut(EntityUid)) {
    match json {
        Value::Array(list) => list.iter().for_each(|one| uids_in(one, each)),
        Value::Object(object) => {
            let text = |name| object.get(name).and_then(Value::as_str);
            text("type").zip(text("id")).and_then(|(kind, id)| uid(kind, id)).into_iter().for_each(&mut *each);
            object.values().for_each(|value| uids_in(value, each));
        }
        _ => {}
    }
}

fn from_file(path: &Path, schema: Option<&Schema>) -> Result<Entities, ConfigErrors> {
    let text = read(path).map_err(|error| error.under(&"entities".into()))?;
    let entities = Entities::from_json_str(&text, schema);
    entities.map_err(|error| {
        let faults = faults(&path.display().to_string(), &text, &DetailedError::from(&error));
        ConfigErrors::from(faults).under(&"entities".into())
    })
}

fn from_schema(schema: Option<&Schema>) -> Result<Entities, ConfigError> {
    let Some(schema) = schema else { return Ok(Entities::empty()) };
    schema.action_entities().map_err(|error| ConfigError::at("schema", error.to_string()))
}
