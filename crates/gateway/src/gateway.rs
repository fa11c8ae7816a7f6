//! The builder: which router, which plugins, in which order.

use std::process::ExitCode;
use std::sync::Arc;

use tidegate_config::Document;
use tidegate_core::{Clock, Metrics, Plugin, Router};

use crate::build::{Built, Parts, Purpose, build};
use crate::generation::Generation;
use crate::kinds::Kind;
use crate::outbound::Outbound;
use crate::running::{Running, StartError};
use crate::settings::SECTIONS;
use crate::source::{BadConfig, ConfigSource};
use crate::warnings;

/// A gateway that has not started: its router and its plugins.
///
/// ```no_run
/// # use tidegate_core::{BuildCx, ConfigErrors, RequestHead, RouteTable, Routed, Router};
/// # struct Routing;
/// # impl Router for Routing {
/// #     const NAME: &'static str = "routing";
/// #     type Config = tidegate_core::NoConfig;
/// #     fn build(_: Self::Config, _: &mut RouteTable, _: &mut BuildCx<'_>) -> Result<Self, ConfigErrors> { Ok(Self) }
/// #     fn route(&self, _: &RequestHead<'_>) -> Routed { Routed::None }
/// # }
/// use tidegate::Gateway;
///
/// fn main() -> std::process::ExitCode {
///     Gateway::new().router::<Routing>().main()
/// }
/// ```
pub struct Gateway {
    parts: Parts,
}

impl Default for Gateway {
    fn default() -> Self {
        Self::new()
    }
}

impl Gateway {
    /// A gateway with no router and no plugins.
    pub fn new() -> Self {
        let parts = Parts {
            router: None,
            plugins: Vec::new(),
            clock: Clock::system(),
            metrics: Metrics::new(),
            outbound: Outbound::default(),
        };
        Self { parts }
    }

    /// The same gateway with this router, in place of the one it had.
    #[must_use]
    pub fn router<R: Router>(mut self) -> Self {
        self.parts.router = Some(Box::new(Kind::<R>::new()));
        self
    }

    /// The same gateway with one more plugin: after those before it on the way in, before them on the way out.
    ///
    /// # Panics
    /// If a plugin of that name is there already, or the name is a section of the gateway's own: a fault of the
    /// program, found the first time it starts.
    #[must_use]
    pub fn plugin<P: Plugin>(mut self) -> Self {
        let taken = self.parts.plugins.iter().any(|plugin| plugin.name() == P::NAME);
        assert!(!taken, "plugin {} is given twice", P::NAME);
        assert!(!SECTIONS.contains(&P::NAME), "plugin {} is called as a section of the gateway", P::NAME);
        self.parts.plugins.push(Box::new(Kind::<P>::new()));
        self
    }

    /// The same gateway on another clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.parts.clock = clock;
        self
    }

    /// The same gateway with its metrics in a registry that the embedding program already has.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.parts.metrics = metrics;
        self
    }

    /// Starts it in the Tokio runtime this is called in: listeners bound, names resolved, ready for requests.
    /// Handles no signals and never ends the process.
    ///
    /// # Errors
    /// A configuration that can't be used, an address that can't be listened on.
    pub async fn start(self, config: ConfigSource) -> Result<Running, StartError> {
        Running::start(self.parts, config).await
    }

    /// The command line: `run`, `check`, `explain`, `routes`, `schema`, `version`. Returns the exit code.
    pub fn main(self) -> ExitCode {
        crate::cli::main(self)
    }

    /// The JSON Schema of this gateway's configuration, plugins included.
    pub fn schema(&self) -> serde_json::Value {
        crate::schema::of(&self.parts)
    }

    /// Whether the configuration is good, without listening or contacting anybody.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, config: &ConfigSource) -> Result<(), BadConfig> {
        self.dry_run(config).map(drop)
    }

    /// The same, and that there is nothing in it to be warned about.
    ///
    /// # Errors
    /// Everything that is wrong with it, or else every warning.
    pub fn check_strict(&self, config: &ConfigSource) -> Result<(), BadConfig> {
        let (generation, document) = self.dry_run(config)?;
        let warnings = warnings::about(&generation, &document);
        if warnings.is_empty() { Ok(()) } else { Err(BadConfig::from_report(&warnings)) }
    }

    /// A configuration, built and started nowhere.
    pub(crate) fn dry_run(&self, config: &ConfigSource) -> Result<(Arc<Generation>, Document), BadConfig> {
        let (built, document) = load(&self.parts, config, None, Purpose::Check)?;
        Ok((Arc::new(built.generation), document))
    }
}

/// Reads and builds a configuration.
pub(crate) fn load(
    parts: &Parts,
    config: &ConfigSource,
    before: Option<&Generation>,
    purpose: Purpose,
) -> Result<(Built, Document), BadConfig> {
    let document = config.load()?;
    match build(parts, document.root(), before, purpose) {
        Ok(built) => {
            if purpose == Purpose::Serve {
                warnings::log(&warnings::about(&built.generation, &document));
            }
            Ok((built, document))
        }
        Err(errors) => Err(BadConfig::new(&document, &errors)),
    }
}
