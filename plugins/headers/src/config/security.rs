//! The security headers, each with the words it may have.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_core::config::Duration;

use super::WordOr;

/// Which headers are sent when nothing else is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "SecurityPreset")]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// None.
    #[default]
    Off,
    /// Those of Helmet 8 for Express, with its values.
    Helmet,
}

/// What is done with a security header that the upstream sent itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "SecurityMode")]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It stays: the application knows its own pages.
    #[default]
    IfAbsent,
    /// The gateway's takes its place; of a header that the gateway omits, none is left.
    Always,
}

/// The headers by which browsers guard a page. A header is sent with the preset's value, with the one given here, or
/// for `omit` not at all.
///
/// ```yaml
/// security:
///   preset: helmet
///   content_security_policy: "default-src 'self'; img-src *"
///   hsts: { max_age: 730d, preload: request }
///   frame_options: DENY
///   cross_origin_resource_policy: omit
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(rename = "SecurityHeaders")]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// `helmet` or `off`: what is sent where nothing is said below. Default: `helmet`.
    pub preset: Preset,
    /// Whether the upstream's own headers stay (`if_absent`) or give way (`always`). Default: `if_absent`.
    pub mode: Mode,
    /// `Content-Security-Policy`: where a page may load what from. A text, or `omit`. Default: the preset's.
    pub content_security_policy: Option<String>,
    /// `Content-Security-Policy-Report-Only`: the same, to be tried out. A text, or `omit`. Default: `omit`.
    pub content_security_policy_report_only: Option<String>,
    /// `Cross-Origin-Embedder-Policy`: what a page may embed. Default: `omit`.
    pub cross_origin_embedder_policy: Option<EmbedderPolicy>,
    /// `Cross-Origin-Opener-Policy`: which windows share a page's process. Default: the preset's, `same-origin`.
    pub cross_origin_opener_policy: Option<OpenerPolicy>,
    /// `Cross-Origin-Resource-Policy`: whose pages may embed this. Default: the preset's, `same-origin`.
    pub cross_origin_resource_policy: Option<ResourcePolicy>,
    /// `Strict-Transport-Security` (RFC 6797): use TLS only, from now on. A map, or `omit`. Never sent over plain
    /// HTTP. Default: the preset's, `{ max_age: 365d, subdomains: include }`.
    pub hsts: Option<WordOr<Omit, Hsts>>,
    /// `Origin-Agent-Cluster`: a process for each origin. Default: the preset's, `?1`.
    pub origin_agent_cluster: Option<OriginAgentCluster>,
    /// `Permissions-Policy`: which features of the browser a page may use. A text, or `omit`. Default: `omit`.
    pub permissions_policy: Option<String>,
    /// `Referrer-Policy`: what the next site hears of this one. Default: the preset's, `no-referrer`.
    pub referrer_policy: Option<ReferrerPolicy>,
    /// `X-Content-Type-Options`: believe `Content-Type`. Default: the preset's, `nosniff`.
    pub content_type_options: Option<ContentTypeOptions>,
    /// `X-DNS-Prefetch-Control`: whether links are resolved before they are followed. Default: the preset's, `off`.
    pub dns_prefetch_control: Option<DnsPrefetch>,
    /// `X-Download-Options`: old Internet Explorers may not open downloads in place. Default: the preset's, `noopen`.
    pub download_options: Option<DownloadOptions>,
    /// `X-Frame-Options`: who may show the page in a frame. Default: the preset's, `SAMEORIGIN`.
    pub frame_options: Option<FrameOptions>,
    /// `X-Permitted-Cross-Domain-Policies`: for Flash and Acrobat. Default: the preset's, `none`.
    pub permitted_cross_domain_policies: Option<CrossDomainPolicies>,
    /// `X-XSS-Protection`: the browser's own filter, which was a hole itself. Default: the preset's, `"0"`.
    pub xss_protection: Option<XssProtection>,
}

impl Default for Security {
    fn default() -> Self {
        Self::of(Preset::Helmet)
    }
}

impl Security {
    /// The preset as it is.
    pub fn of(preset: Preset) -> Self {
        Self {
            preset,
            mode: Mode::default(),
            content_security_policy: None,
            content_security_policy_report_only: None,
            cross_origin_embedder_policy: None,
            cross_origin_opener_policy: None,
            cross_origin_resource_policy: None,
            hsts: None,
            origin_agent_cluster: None,
            permissions_policy: None,
            referrer_policy: None,
            content_type_options: None,
            dns_prefetch_control: None,
            download_options: None,
            frame_options: None,
            permitted_cross_domain_policies: None,
            xss_protection: None,
        }
    }
}

/// The header is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Omit {
    /// The header is not sent.
    Omit,
}

/// `Strict-Transport-Security`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hsts {
    /// For how long browsers remember it; `0s` makes them forget. Default: `365d`.
    pub max_age: Duration,
    /// Whether it holds for all hosts below this one: `include` or `exclude`. Default: `include`.
    pub subdomains: Subdomains,
    /// Whether the site asks to be in the list that browsers are shipped with: `request` or `omit`. The list wants
    /// `subdomains: include` and a year at least, and is hard to leave. Default: `omit`.
    pub preload: Preload,
}

impl Default for Hsts {
    fn default() -> Self {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        Self { max_age: year, subdomains: Subdomains::default(), preload: Preload::default() }
    }
}

/// Hosts below the one that sends `Strict-Transport-Security`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subdomains {
    /// It holds for them too.
    #[default]
    Include,
    /// It does not.
    Exclude,
}

/// The list of hosts that browsers know as TLS-only before they ever met them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preload {
    /// Says nothing about it.
    #[default]
    Omit,
    /// Asks to be put on it.
    Request,
}

/// A header that has one of a few words, which are those of the configuration too.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
        pub enum $name {
            /// The header is not sent.
            #[serde(rename = "omit")]
            Omit,
            $($(#[$word_doc])* #[serde(rename = $text)] $word,)*
        }

        impl $name {
            /// The header's value; `None` when it is not sent.
            pub fn value(self) -> Option<&'static str> {
                match self {
                    Self::Omit => None,
                    $(Self::$word => Some($text),)*
                }
            }
        }
    };
}

words! {
    /// `Cross-Origin-Embedder-Policy`.
    EmbedderPolicy {
        /// Only what allows it.
        RequireCorp = "require-corp",
        /// Anything, but without credentials where it does not allow it.
        Credentialless = "credentialless",
        /// Anything.
        UnsafeNone = "unsafe-none",
    }
}
words! {
    /// `Cross-Origin-Opener-Policy`.
    OpenerPolicy {
        /// Windows of the same origin.
        SameOrigin = "same-origin",
        /// Those, and popups that it opens.
        SameOriginAllowPopups = "same-origin-allow-popups",
        /// Nobody that opened it.
        NoopenerAllowPopups = "noopener-allow-popups",
        /// Anybody.
        UnsafeNone = "unsafe-none",
    }
}
words! {
    /// `Cross-Origin-Resource-Policy`.
    ResourcePolicy {
        /// Pages of the same origin.
        SameOrigin = "same-origin",
        /// Pages of the same site.
        SameSite = "same-site",
        /// Any page.
        CrossOrigin = "cross-origin",
    }
}
words! {
    /// `Origin-Agent-Cluster`.
    OriginAgentCluster {
        /// Asks for it.
        Yes = "?1",
        /// Declines it.
        No = "?0",
    }
}
words! {
    /// `Referrer-Policy`.
    ReferrerPolicy {
        /// Nothing.
        NoReferrer = "no-referrer",
        /// The address, but not from TLS to plain HTTP.
        NoReferrerWhenDowngrade = "no-referrer-when-downgrade",
        /// The origin.
        Origin = "origin",
        /// The address to the same origin, the origin to others.
        OriginWhenCrossOrigin = "origin-when-cross-origin",
        /// The address to the same origin, nothing to others.
        SameOrigin = "same-origin",
        /// The origin, but not from TLS to plain HTTP.
        StrictOrigin = "strict-origin",
        /// The address to the same origin, the origin to others, nothing from TLS to plain HTTP.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin",
        /// The address.
        UnsafeUrl = "unsafe-url",
    }
}
words! {
    /// `X-Content-Type-Options`.
    ContentTypeOptions {
        /// What `Content-Type` says is what it is.
        Nosniff = "nosniff",
    }
}
words! {
    /// `X-DNS-Prefetch-Control`.
    DnsPrefetch {
        /// Links are resolved when they are followed.
        Off = "off",
        /// Links may be resolved before.
        On = "on",
    }
}
words! {
    /// `X-Download-Options`.
    DownloadOptions {
        /// Downloads are saved, not opened.
        Noopen = "noopen",
    }
}
words! {
    /// `X-Frame-Options`.
    FrameOptions {
        /// Nobody.
        Deny = "DENY",
        /// Pages of the same origin.
        Sameorigin = "SAMEORIGIN",
    }
}
words! {
    /// `X-Permitted-Cross-Domain-Policies`.
    CrossDomainPolicies {
        /// No policy file counts.
        None = "none",
        /// The one at the root counts.
        MasterOnly = "master-only",
        /// Those with the right content type count.
        ByContentType = "by-content-type",
        /// All count.
        All = "all",
    }
}
words! {
    /// `X-XSS-Protection`.
    XssProtection {
        /// The filter is off.
        Off = "0",
    }
}
