//! The webhook between Alertmanager and Telegram: where notifications go, and the pods that take them there.
//! Holds no secret: a token's file or its Secret is named, never its text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kedactl_alerts::TemplateTexts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, Egress, ImagePullPolicy, LabelValue, Probes, Resources, Strictness, Text};

/// The service that takes Alertmanager's notifications to Telegram; it runs where it has a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    /// Routes by name: which chats are shown what is posted to `/v1/alerts/<name>`; Alertmanager posts to `default`
    #[serde(default)]
    #[schemars(extend("x-keys" = "route-name"))]
    pub routes: BTreeMap<String, WebhookRoute>,
    /// Where words about the webhook itself go: what was dropped, which chat takes nothing; absent: the first chat of the first route
    #[serde(default)]
    pub operators: Option<AlertChat>,
    /// Who may press buttons below messages, by Telegram's numbers of users; nobody where none is named
    #[serde(default)]
    pub users: Vec<i64>,
    /// Whether messages have buttons: silence what fires (where the stack is monitored), acknowledge it
    pub buttons: bool,
    /// The Bot API; Telegram's, or one of your own
    #[schemars(extend("format" = "http-address"))]
    pub bot_api: String,
    /// File of this machine with the bot's token, which `up` puts into the Secret; absent: the Secret is there already
    #[serde(default)]
    pub bot_token_file: Option<PathBuf>,
    /// The Secret with the bot's token
    pub bot_token_secret: SecretKey,
    /// Container image, by tag or digest
    #[schemars(extend("format" = "image"))]
    pub image: String,
    /// When the node pulls the image
    pub image_pull_policy: ImagePullPolicy,
    /// Number of pods
    #[schemars(range(min = 1, max = 10))]
    pub replicas: u32,
    /// Port of the pods and of the Service `webhook`
    #[schemars(range(min = 1024))]
    pub port: u16,
    /// Port of metrics and probes; never exposed outside
    #[schemars(range(min = 1024))]
    pub metrics_port: u16,
    /// CPU, memory and disk of one pod
    pub resources: Resources,
    /// Environment of the container; never for secrets
    #[serde(default)]
    #[schemars(extend("x-keys" = "env-name"))]
    pub env: BTreeMap<String, Text>,
    /// Arguments appended to the program's command line
    #[serde(default)]
    pub extra_args: Vec<Text>,
    /// Seconds between SIGTERM and SIGKILL
    #[schemars(range(min = 6, max = 86400))]
    pub termination_grace_period_seconds: u32,
    /// Start, liveness and readiness
    pub probes: Probes,
    /// Pods that may be missing at a time while nodes are drained: a number, or per cent of the pods (`25%`)
    #[schemars(extend("x-text" = true, "format" = "count-or-percent"))]
    pub max_unavailable: String,
    /// Even spread over nodes. `hard`: no node has two pods more than another, or the pod waits
    pub spread: Strictness,
    /// Where the Bot API is
    pub egress: Vec<Egress>,
    /// Labels added to the pods
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub pod_labels: BTreeMap<String, LabelValue>,
    /// Annotations added to the pods
    #[serde(default)]
    #[schemars(extend("x-keys" = "label-key"))]
    pub pod_annotations: BTreeMap<String, Text>,
}

/// What is posted to one route, and who sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookRoute {
    /// The chats
    #[schemars(length(min = 1))]
    pub chats: Vec<AlertChat>,
    /// How it looks; absent: as built in
    #[serde(default)]
    pub template: AlertTemplate,
}

/// A chat of Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertChat {
    /// Its number: positive for a person, negative for a group or a channel
    pub id: i64,
    /// The topic of a forum
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
}

/// Handlebars of Telegram's HTML for each block of a message; what is absent is the built-in one's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlertTemplate {
    /// Above the alerts, once
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Each alert
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// Below the alerts, once
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foot: Option<String>,
}

impl AlertTemplate {
    /// As templates are read.
    pub fn texts(&self) -> TemplateTexts {
        TemplateTexts {
            head: self.head.clone(),
            alert: self.alert.clone(),
            foot: self.foot.clone(),
        }
    }
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKey {
    /// Name of the Secret, in the stack's namespace
    #[schemars(extend("format" = "dns-name"))]
    pub name: String,
    /// Its key
    #[schemars(extend("format" = "secret-key"))]
    pub key: String,
}

impl Webhook {
    /// The Secret with the bearer token that Alertmanager shows: in the stack's namespace and in the monitoring's.
    pub const TOKEN_SECRET: &'static str = "webhook-token";
    /// Its key.
    pub const TOKEN_KEY: &'static str = "token";
    /// Where Alertmanager finds the file with it.
    pub const TOKEN_FILE: &'static str = "/etc/alertmanager/secrets/webhook-token/token";
    /// The route that Alertmanager posts to where nothing else is said.
    pub const DEFAULT_ROUTE: &'static str = "default";

    /// Whether there is anything for it to do.
    pub fn runs(&self) -> bool {
        !self.routes.is_empty()
    }
}

impl Config {
    /// Where Alertmanager reaches the webhook inside the cluster: `http://webhook.keda.svc:8080`.
    pub fn webhook_address(&self) -> String {
        format!(
            "http://webhook.{}.svc:{}",
            self.namespace, self.webhook.port
        )
    }

    /// Whether Prometheus and Alertmanager belong to the stack.
    pub fn is_monitored(&self) -> bool {
        self.monitoring.profile != "none"
    }

    /// Where the webhook reaches Alertmanager inside the cluster: `http://alertmanager.keda-monitoring.svc:9093`.
    pub fn alertmanager_address(&self) -> String {
        format!("http://alertmanager.{}.svc:9093", self.monitoring.namespace)
    }
}
