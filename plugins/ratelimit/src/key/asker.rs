//! Who asks, as far as keys and costs depend on it.

use std::net::IpAddr;

use tidegate_core::facts::{Country, Identity};
use tidegate_core::{Cx, RequestHead};

/// A request, as far as keys and costs depend on it.
pub(crate) trait Asker {
    /// Its head.
    fn head(&self) -> RequestHead<'_>;
    /// The real client.
    fn client(&self) -> IpAddr {
        self.head().client
    }
    /// Who is asking, if that is proved.
    fn identity(&self) -> Option<&Identity>;
    /// The client's country, if somebody knows it.
    fn country(&self) -> Option<&Country>;
    /// The route's name.
    fn route(&self) -> &str;
    /// A parameter of the route's path, still percent-encoded.
    fn param(&self, name: &str) -> Option<&str>;
}

impl Asker for Cx<'_> {
    fn head(&self) -> RequestHead<'_> {
        Cx::head(self)
    }

    fn client(&self) -> IpAddr {
        Cx::client(self)
    }

    fn identity(&self) -> Option<&Identity> {
        Cx::identity(self)
    }

    fn country(&self) -> Option<&Country> {
        self.facts().country.as_ref()
    }

    fn route(&self) -> &str {
        Cx::route(self).name()
    }

    fn param(&self, name: &str) -> Option<&str> {
        Cx::param(self, name)
    }
}
