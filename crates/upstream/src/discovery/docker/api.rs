//! What Docker says of a container, and the target that it makes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

use super::or_default;
use crate::config::TargetConfig;

/// An element of `GET /containers/json`, as far as it is of use. Docker adds fields with each version.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    #[serde(deserialize_with = "or_default")]
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    names: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    state: String,
    /// `Up 3 minutes (healthy)`
    #[serde(deserialize_with = "or_default")]
    status: String,
    labels: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "or_default")]
    ports: Vec<Port>,
    #[serde(deserialize_with = "or_default")]
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Port {
    #[serde(deserialize_with = "or_default")]
    private_port: u16,
    #[serde(deserialize_with = "or_default")]
    r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    #[serde(rename = "IPAddress", deserialize_with = "or_default")]
    ip_address: String,
    #[serde(rename = "GlobalIPv6Address", deserialize_with = "or_default")]
    ipv6_address: String,
}

/// Which of a container's ports and addresses is used.
pub(super) struct Choice {
    pub(super) port: Option<u16>,
    pub(super) network: Option<String>,
}

const PORT: &str = "tidegate.port";
const WEIGHT: &str = "tidegate.weight";
const ZONE: &str = "tidegate.zone";

impl Container {
    /// For logs.
    pub(super) fn name(&self) -> &str {
        let name = self.names.first().map(|name| name.trim_start_matches('/'));
        name.unwrap_or_else(|| self.id.get(..12).unwrap_or(&self.id))
    }

    /// The target that it is; `None` if it isn't one now. An error says why it can't be one.
    pub(super) fn target(&self, choice: &Choice) -> Result<Option<TargetConfig>, String> {
        if !self.is_fit() {
            return Ok(None);
        }
        let address = self.address(choice)?;
        let weight = self.label(WEIGHT)?.unwrap_or(1);
        if !(1..=256).contains(&weight) {
            return Err(format!("label {WEIGHT} is not from 1 to 256"));
        }
        let zone = self.label::<String>(ZONE)?.filter(|zone| !zone.is_empty());
        let port = self.port(choice)?;
        let address = match address {
            IpAddr::V4(ip) => format!("{ip}:{port}"),
            IpAddr::V6(ip) => format!("[{ip}]:{port}"),
        };
        Ok(Some(TargetConfig { address, weight, zone, ..TargetConfig::default() }))
    }

    /// Running, and not said to be unwell or not up yet by its own health check.
    fn is_fit(&self) -> bool {
        self.state == "running"
            && !self.status.contains("(unhealthy)")
            && !self.status.contains("(health: starting)")
            && !self.status.contains("(Paused)")
    }

    fn address(&self, choice: &Choice) -> Result<IpAddr, String> {
        let networks = self.network_settings.networks.iter().flatten();
        let mut wanted = networks.filter(|(name, _)| choice.network.as_ref().is_none_or(|wanted| wanted == *name));
        let found = wanted.find_map(|(_, network)| network.as_ref()?.address());
        found.ok_or_else(|| match &choice.network {
            Some(network) => format!("it has no address in network {network}"),
            None => "it has no address in any network".to_owned(),
        })
    }

    fn port(&self, choice: &Choice) -> Result<u16, String> {
        if let Some(port) = choice.port {
            return Ok(port);
        }
        if let Some(port) = self.label::<u16>(PORT)? {
            return if port == 0 { Err(format!("label {PORT} is 0")) } else { Ok(port) };
        }
        let tcp = self.ports.iter().filter(|port| port.r#type == "tcp" && port.private_port != 0);
        // One that is published on two addresses is listed twice.
        let ports: BTreeSet<u16> = tcp.map(|port| port.private_port).collect();
        match (ports.first(), ports.len()) {
            (Some(port), 1) => Ok(*port),
            (_, 0) => Err(format!("it exposes no TCP port, and has no label {PORT}")),
            _ => Err(format!("it exposes several TCP ports, and has no label {PORT}")),
        }
    }

    fn label<T: FromStr>(&self, key: &str) -> Result<Option<T>, String> {
        let text = self.labels.as_ref().and_then(|labels| labels.get(key));
        text.map(|text| text.trim().parse().map_err(|_| format!("label {key} is not a number"))).transpose()
    }
}

impl Network {
    fn address(&self) -> Option<IpAddr> {
        self.ip_address.parse().or_else(|_| self.ipv6_address.parse()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(json: serde_json::Value, choice: &Choice) -> Result<Option<TargetConfig>, String> {
        serde_json::from_value::<Container>(json).unwrap().target(choice)
    }

    fn container(labels: serde_json::Value, ports: serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "Id": "8dfafdbc3a40", "Names": ["/boring_feynman"], "State": "running", "Status": "Up 3 minutes",
            "Labels": labels, "Ports": ports, "HostConfig": { "NetworkMode": "default" },
            "NetworkSettings": { "Networks": {
                "back": { "IPAddress": "172.18.0.5", "GlobalIPv6Address": "" },
                "six": { "IPAddress": "", "GlobalIPv6Address": "2001:db8::5" },
            } },
        })
    }

    const ANY: Choice = Choice { port: None, network: None };

    #[test]
    fn the_port_is_the_configured_one_or_the_labelled_or_the_only_one() {
        let two = serde_json::json!([
            { "PrivatePort": 80, "Type": "tcp" }, { "IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp" },
            { "PrivatePort": 53, "Type": "udp" },
        ]);
        let address = |json, choice: &Choice| target(json, choice).unwrap().unwrap().address;
        let none = serde_json::json!({});
        assert_eq!(address(container(none.clone(), two.clone()), &ANY), "172.18.0.5:80");
        let labelled = serde_json::json!({ "tidegate.port": "3000" });
        assert_eq!(address(container(labelled.clone(), two.clone()), &ANY), "172.18.0.5:3000");
        let given = Choice { port: Some(9000), network: Some("six".to_owned()) };
        assert_eq!(address(container(labelled, two), &given), "[2001:db8::5]:9000");
        let several = serde_json::json!([{ "PrivatePort": 80, "Type": "tcp" }, { "PrivatePort": 81, "Type": "tcp" }]);
        assert!(target(container(none.clone(), several), &ANY).unwrap_err().contains("several"));
        assert!(target(container(none, serde_json::json!([])), &ANY).unwrap_err().contains("no TCP port"));
    }

    #[test]
    fn labels_give_weight_and_zone() {
        let ports = serde_json::json!([{ "PrivatePort": 80, "Type": "tcp" }]);
        let labels = serde_json::json!({ "tidegate.weight": "3", "tidegate.zone": "eu-1" });
        let of = target(container(labels, ports.clone()), &ANY).unwrap().unwrap();
        assert_eq!((of.weight, of.zone.as_deref()), (3, Some("eu-1")));
        for (key, value) in [("tidegate.weight", "0"), ("tidegate.weight", "many"), ("tidegate.port", "70000")] {
            let labels = serde_json::json!({ key: value });
            assert!(target(container(labels, ports.clone()), &ANY).unwrap_err().contains(key), "{key}: {value}");
        }
    }

    #[test]
    fn only_containers_that_run_and_are_well_are_targets() {
        let ports = serde_json::json!([{ "PrivatePort": 80, "Type": "tcp" }]);
        for (state, status, fit) in [
            ("running", "Up 2 hours", true),
            ("running", "Up 2 hours (healthy)", true),
            ("running", "Up 2 hours (unhealthy)", false),
            ("running", "Up 2 seconds (health: starting)", false),
            ("paused", "Up 2 hours (Paused)", false),
            ("exited", "Exited (0) 2 minutes ago", false),
        ] {
            let mut json = container(serde_json::json!(null), ports.clone());
            json["State"] = state.into();
            json["Status"] = status.into();
            assert_eq!(target(json, &ANY).unwrap().is_some(), fit, "{state}: {status}");
        }
    }

    #[test]
    fn null_is_nothing() {
        let null = serde_json::json!({
            "Id": null, "Names": null, "State": "running", "Status": null, "Labels": { "tidegate.port": "80" },
            "Ports": null, "NetworkSettings": { "Networks": {
                "a": null, "b": { "IPAddress": null, "GlobalIPv6Address": null }, "c": { "IPAddress": "172.18.0.5" },
            } },
        });
        assert_eq!(target(null, &ANY).unwrap().unwrap().address, "172.18.0.5:80");
        let json = serde_json::json!([{ "NetworkSettings": null, "Ports": [{ "PrivatePort": 1, "Type": null }] }]);
        assert_eq!(serde_json::from_value::<Vec<Container>>(json).unwrap().len(), 1);
    }

    #[test]
    fn a_container_without_an_address_is_told_of() {
        let ports = serde_json::json!([{ "PrivatePort": 80, "Type": "tcp" }]);
        let other = Choice { port: None, network: Some("front".to_owned()) };
        let error = target(container(serde_json::json!({}), ports), &other).unwrap_err();
        assert_eq!(error, "it has no address in network front");
    }
}
