//! Where traces go.
//! Says what may be set, never how it is rendered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Egress, SecretKey, Text};

/// Traces of API, worker and webhook, sent to an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracing {
    /// Collector that takes OTLP over HTTP, such as `http://collector.observability.svc:4318`; absent: no traces
    #[serde(default)]
    #[schemars(extend("format" = "http-url"))]
    pub endpoint: Option<String>,
    /// Share of the traces that begin in the stack and are kept, 0 to 1; one that began elsewhere is kept where it was kept
    /// there
    #[serde(default)]
    pub ratio: Option<Text>,
    /// Namespace of the collector's pods, which the network policies let through; absent: the one that `endpoint` names
    #[serde(default)]
    #[schemars(extend("format" = "dns-label"))]
    pub namespace: Option<String>,
    /// Where the collector is outside of the cluster
    #[serde(default)]
    pub egress: Vec<Egress>,
    /// Secret with the headers of each request, `name=value` a line, such as a token's
    #[serde(default)]
    pub headers_secret: Option<SecretKey>,
}

impl Tracing {
    /// Variables that are set from these values.
    pub const VARIABLES: [&'static str; 4] = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "KEDACTL_OTLP_HEADERS_FILE",
    ];

    /// Namespace and port of the collector's pods, where it is in the cluster.
    pub fn in_cluster(&self) -> Option<(String, u16)> {
        let (scheme, rest) = self.endpoint.as_deref()?.split_once("://")?;
        let host = rest.split('/').next()?.rsplit('@').next()?;
        let usual = if scheme == "https" { 443 } else { 80 };
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (host, usual),
        };
        // `service.namespace.svc`, whatever the cluster's domain is.
        let mut parts = host.split('.').skip(1);
        let named = parts.next().filter(|_| parts.next() == Some("svc"));
        let namespace = self.namespace.as_deref().or(named)?;
        Some((namespace.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::Tracing;

    #[test]
    fn a_collector_in_the_cluster_is_known_by_its_name() {
        let place = |endpoint: &str, namespace: Option<&str>| {
            Tracing {
                endpoint: Some(endpoint.to_owned()),
                ratio: None,
                namespace: namespace.map(str::to_owned),
                egress: Vec::new(),
                headers_secret: None,
            }
            .in_cluster()
        };
        let found = |namespace: &str, port| Some((namespace.to_owned(), port));
        assert_eq!(place("http://c.obs.svc:4318", None), found("obs", 4318));
        assert_eq!(
            place("https://c.obs.svc.cluster.local/otlp", None),
            found("obs", 443)
        );
        assert_eq!(place("http://10.0.0.7:4318", None), None);
        assert_eq!(place("https://otlp.example.com", None), None);
        assert_eq!(
            place("http://10.0.0.7:4318", Some("obs")),
            found("obs", 4318)
        );
    }
}
