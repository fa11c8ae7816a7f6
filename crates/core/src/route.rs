//! One route, as plugins see it.

use std::sync::Arc;

use crate::ConfigPath;

/// A route's place in the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

impl RouteId {
    /// As an index into the table.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One route, as plugins see it: when they build their handler for it, and on every request it serves.
#[derive(Debug, Clone)]
pub struct Route {
    pub(crate) id: RouteId,
    pub(crate) name: Arc<str>,
    pub(crate) params: Arc<[Box<str>]>,
    pub(crate) path: ConfigPath,
    pub(crate) summary: Box<str>,
    pub(crate) mounts: Arc<[Box<str>]>,
    pub(crate) served_here: bool,
}

impl Route {
    #[doc(hidden)]
    pub fn new(id: RouteId, name: &str, params: Vec<Box<str>>, path: ConfigPath, summary: &str) -> Self {
        let (params, summary, mounts) = (params.into(), summary.into(), Arc::default());
        Self { id, name: name.into(), params, path, summary, mounts, served_here: false }
    }

    #[doc(hidden)]
    #[must_use]
    pub fn mounted(self, mounts: Vec<Box<str>>) -> Self {
        Self { mounts: mounts.into(), ..self }
    }

    #[doc(hidden)]
    #[must_use]
    pub fn by_endpoint(self, served_here: bool) -> Self {
        Self { served_here, ..self }
    }

    /// Its place in the table.
    pub fn id(&self) -> RouteId {
        self.id
    }

    /// Its name in the configuration: what metrics and logs call it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The names of its path parameters, in order.
    pub fn params(&self) -> &[Box<str>] {
        &self.params
    }

    /// Where it stands in the configuration, for error messages.
    pub fn path(&self) -> &ConfigPath {
        &self.path
    }

    /// The paths below which it serves everything, without a slash at the end: `/auth` for `/auth/**`, nothing for
    /// `/**`. For an endpoint with paths of its own.
    pub fn mounts(&self) -> &[Box<str>] {
        &self.mounts
    }

    /// Whether an endpoint of the gateway serves it, and no upstream: then its body is for [`Cx::take_body`](crate::Cx::take_body).
    pub fn is_served_here(&self) -> bool {
        self.served_here
    }

    /// What it matches, in one line for people, such as `GET api.example.com/v1/users/**`.
    pub fn summary(&self) -> &str {
        &self.summary
    }
}
