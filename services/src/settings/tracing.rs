//! Settings of traces, under the names that OpenTelemetry gives them.
//!
//! It must not read `OTEL_…` differently from OpenTelemetry's specification: an empty value is none.

use std::path::PathBuf;
use std::time::Duration;

use kedactl_queue::Secret;

use super::Problems;
use crate::trace::Sampler;

/// The flags; shared by all services.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Traces (OpenTelemetry); off until an endpoint is given")]
pub struct TraceArgs {
    /// Collector that takes OTLP over HTTP; `/v1/traces` is appended
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// The same for traces, taken as it is
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub otel_exporter_otlp_traces_endpoint: Option<String>,
    /// How spans are written: `http/protobuf` or `http/json`
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", value_name = "PROTOCOL")]
    pub otel_exporter_otlp_protocol: Option<String>,
    /// The same for traces
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        value_name = "PROTOCOL"
    )]
    pub otel_exporter_otlp_traces_protocol: Option<String>,
    /// Headers of each request: NAME=VALUE, comma separated, percent-encoded
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        value_name = "HEADERS",
        hide_env_values = true
    )]
    pub otel_exporter_otlp_headers: Option<String>,
    /// The same for traces, which win
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        value_name = "HEADERS",
        hide_env_values = true
    )]
    pub otel_exporter_otlp_traces_headers: Option<String>,
    /// File with such headers, one a line or comma separated: they often hold a secret
    #[arg(long, env = "KEDACTL_OTLP_HEADERS_FILE", value_name = "FILE")]
    pub otlp_headers_file: Option<PathBuf>,
    /// Longest time of one request, milliseconds [default: 10000]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", value_name = "MS")]
    pub otel_exporter_otlp_timeout: Option<String>,
    /// The same for traces
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", value_name = "MS")]
    pub otel_exporter_otlp_traces_timeout: Option<String>,
    /// Certificates to trust beside those of the system, PEM
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CERTIFICATE", value_name = "FILE")]
    pub otel_exporter_otlp_certificate: Option<PathBuf>,
    /// Name of this service in traces [default: the program's]
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,
    /// What else is said about this process: KEY=VALUE, comma separated, percent-encoded
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "ATTRIBUTES")]
    pub otel_resource_attributes: Option<String>,
    /// Which traces are kept: `always_on`, `always_off`, `traceidratio`, or one of these behind `parentbased_` [default: `parentbased_always_on`]
    #[arg(long, env = "OTEL_TRACES_SAMPLER", value_name = "SAMPLER")]
    pub otel_traces_sampler: Option<String>,
    /// Share of traces that `traceidratio` keeps, 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO")]
    pub otel_traces_sampler_arg: Option<String>,
    /// `none` switches traces off
    #[arg(long, env = "OTEL_TRACES_EXPORTER", value_name = "otlp|none")]
    pub otel_traces_exporter: Option<String>,
    /// `true` switches them off too
    #[arg(long, env = "OTEL_SDK_DISABLED", value_name = "BOOL")]
    pub otel_sdk_disabled: Option<String>,
}

/// How spans are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Protobuf,
    Json,
}

/// The checked settings of a process that sends traces.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    pub(crate) endpoint: reqwest::Url,
    pub(crate) protocol: Protocol,
    pub(crate) headers: Vec<(String, Secret)>,
    pub(crate) timeout: Duration,
    /// Certificates as PEM.
    pub(crate) authority: Option<String>,
    pub(crate) service: String,
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) sampler: Sampler,
}

impl TraceArgs {
    /// Returns the checked settings; nothing where no endpoint is given or traces are switched off.
    pub(super) fn resolve(&self, program: &str, p: &mut Problems) -> Option<TraceSettings> {
        let endpoint = self.endpoint(p);
        let disabled = given(self.otel_sdk_disabled.as_ref())
            .is_some_and(|it| it.eq_ignore_ascii_case("true"));
        let exporter = given(self.otel_traces_exporter.as_ref()).unwrap_or("otlp");
        if !matches!(exporter, "otlp" | "none") {
            let problem = format!("`{exporter}` is not otlp or none");
            p.add("otel-traces-exporter", problem);
        }
        if disabled || exporter == "none" {
            return None;
        }
        let endpoint = endpoint?;
        let protocol = self.protocol(p);
        let (headers, timeout) = (self.headers(p), self.timeout(p));
        let authority = given_file(self.otel_exporter_otlp_certificate.as_ref());
        let authority = authority.and_then(|it| p.file("otel-exporter-otlp-certificate", it));
        let sampler = given(self.otel_traces_sampler.as_ref()).unwrap_or("parentbased_always_on");
        let argument = given(self.otel_traces_sampler_arg.as_ref());
        let sampler = Sampler::read(sampler, argument)
            .map_err(|problem| p.add("otel-traces-sampler", problem))
            .unwrap_or_default();
        let mut resource = pairs(
            "otel-resource-attributes",
            self.otel_resource_attributes.as_ref(),
            p,
        );
        let named = resource.iter().position(|(key, _)| key == "service.name");
        let named = named.map(|at| resource.remove(at).1);
        let service = given(self.otel_service_name.as_ref()).map(str::to_owned);
        Some(TraceSettings {
            endpoint,
            protocol,
            headers,
            timeout,
            authority,
            service: service.or(named).unwrap_or_else(|| program.to_owned()),
            resource,
            sampler,
        })
    }

    fn endpoint(&self, p: &mut Problems) -> Option<reqwest::Url> {
        let own = given(self.otel_exporter_otlp_traces_endpoint.as_ref())
            .map(|it| ("otel-exporter-otlp-traces-endpoint", it.to_owned()));
        let common = || {
            let base = given(self.otel_exporter_otlp_endpoint.as_ref())?;
            let whole = format!("{}/v1/traces", base.trim_end_matches('/'));
            Some(("otel-exporter-otlp-endpoint", whole))
        };
        let (setting, text) = own.or_else(common)?;
        let url = reqwest::Url::parse(&text).ok();
        let url = url.filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
        if url.is_none() {
            // Not repeated: it may hold a password.
            p.add(setting, "is not an address such as http://collector:4318");
        }
        url
    }

    fn protocol(&self, p: &mut Problems) -> Protocol {
        let own = given(self.otel_exporter_otlp_traces_protocol.as_ref())
            .map(|it| ("otel-exporter-otlp-traces-protocol", it));
        let common = || {
            let common = given(self.otel_exporter_otlp_protocol.as_ref());
            common.map(|it| ("otel-exporter-otlp-protocol", it))
        };
        match own.or_else(common) {
            None | Some((_, "http/protobuf")) => Protocol::Protobuf,
            Some((_, "http/json")) => Protocol::Json,
            Some((setting, other)) => {
                let problem = format!(
                    "`{other}` is not http/protobuf or http/json; a collector takes these on port 4318"
                );
                p.add(setting, problem);
                Protocol::Protobuf
            }
        }
    }

    fn headers(&self, p: &mut Problems) -> Vec<(String, Secret)> {
        let mut all: Vec<(String, String)> = Vec::new();
        let file = given_file(self.otlp_headers_file.as_ref());
        let file = file.and_then(|it| p.file("otlp-headers-file", it));
        let file = file.map(|it| it.lines().collect::<Vec<_>>().join(","));
        for (setting, text) in [
            (
                "otel-exporter-otlp-headers",
                self.otel_exporter_otlp_headers.as_ref(),
            ),
            (
                "otel-exporter-otlp-traces-headers",
                self.otel_exporter_otlp_traces_headers.as_ref(),
            ),
            ("otlp-headers-file", file.as_ref()),
        ] {
            for (name, value) in pairs(setting, text, p) {
                let name_fits = http::HeaderName::from_bytes(name.as_bytes()).is_ok();
                if !name_fits || http::HeaderValue::from_str(&value).is_err() {
                    p.add(setting, format!("`{name}` cannot be sent as a header"));
                }
                all.retain(|(it, _)| !it.eq_ignore_ascii_case(&name));
                all.push((name, value));
            }
        }
        all.into_iter()
            .map(|(name, value)| (name, Secret::new(value)))
            .collect()
    }

    fn timeout(&self, p: &mut Problems) -> Duration {
        let own = given(self.otel_exporter_otlp_traces_timeout.as_ref())
            .map(|it| ("otel-exporter-otlp-traces-timeout", it));
        let common = || {
            let common = given(self.otel_exporter_otlp_timeout.as_ref());
            common.map(|it| ("otel-exporter-otlp-timeout", it))
        };
        own.or_else(common)
            .map_or(Duration::from_secs(10), |(setting, raw)| {
                p.millis(setting, raw, 1..=600_000)
            })
    }
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|it| it.trim()).filter(|it| !it.is_empty())
}

fn given_file(path: Option<&PathBuf>) -> Option<&PathBuf> {
    path.filter(|it| !it.as_os_str().is_empty())
}

/// Undoes percent signs; nothing where what comes of it is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let pair = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// `key=value` by commas; both percent-decoded.
fn pairs(setting: &'static str, text: Option<&String>, p: &mut Problems) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let parts = given(text).unwrap_or_default().split(',').map(str::trim);
    for part in parts.filter(|it| !it.is_empty()) {
        let pair = part.split_once('=').and_then(|(key, value)| {
            let key = decoded(key.trim())?;
            Some((key, decoded(value.trim())?))
        });
        match pair {
            Some((key, value)) if !key.is_empty() => all.push((key, value)),
            // Not repeated: it may hold a secret.
            _ => p.add(
                setting,
                "holds a part that is not KEY=VALUE, percent-encoded",
            ),
        }
    }
    all
}
