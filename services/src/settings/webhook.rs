//! Settings of the webhook.
//!
//! It must not hold a default that `--help` does not show.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kedactl_queue::{RedisConfig, Secret};

use super::{
    LogArgs, Problems, RedisArgs, ServingArgs, SettingsError, TraceArgs, TraceSettings, serving,
};

/// Takes Alertmanager's notifications, keeps them in Redis, and shows them in Telegram.
///
/// Every flag may be given as the environment variable beside it. SIGTERM and SIGINT stop gracefully: `/readyz` answers 503 for the
/// lame-duck time, then open requests and calls are finished; what waits is kept.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "kedactl-webhook", version)]
pub struct WebhookArgs {
    /// Address that Alertmanager posts to
    #[arg(
        long,
        env = "KEDACTL_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDR"
    )]
    pub listen: String,
    /// File of routes: which notifications go to which chats
    #[arg(long, env = "KEDACTL_ROUTES_FILE", value_name = "FILE")]
    pub routes_file: PathBuf,
    /// File with the bot's token
    #[arg(long, env = "KEDACTL_BOT_TOKEN_FILE", value_name = "FILE")]
    pub bot_token_file: PathBuf,
    /// The Bot API; one of your own, or Telegram's
    #[arg(
        long,
        env = "KEDACTL_BOT_API",
        default_value = "https://api.telegram.org",
        value_name = "URL"
    )]
    pub bot_api: String,
    /// Certificates to trust for the Bot API beside those of the system, PEM
    #[arg(long, env = "KEDACTL_BOT_API_CA_FILE", value_name = "FILE")]
    pub bot_api_ca_file: Option<PathBuf>,
    /// Alertmanager, for silences that are asked for by buttons; without it there are no such buttons
    #[arg(long, env = "KEDACTL_ALERTMANAGER", value_name = "URL")]
    pub alertmanager: Option<String>,
    /// Longest time for one call to Alertmanager
    #[arg(
        long,
        env = "KEDACTL_ALERTMANAGER_TIMEOUT_MS",
        default_value = "3000",
        value_name = "MS"
    )]
    pub alertmanager_timeout_ms: String,
    /// File with accepted bearer tokens, one a line: the new one and the old one while they are changed
    #[arg(long, env = "KEDACTL_TOKENS_FILE", value_name = "FILE")]
    pub tokens_file: PathBuf,
    /// Seconds for which a notification is known: no less than Alertmanager's `repeat_interval`
    #[arg(
        long,
        env = "KEDACTL_KNOWN_SECONDS",
        default_value = "21600",
        value_name = "S"
    )]
    pub known_seconds: String,
    /// Minutes after which what fires is taken for a replay where its group has ended since
    #[arg(
        long,
        env = "KEDACTL_STALE_MINUTES",
        default_value = "60",
        value_name = "MIN"
    )]
    pub stale_minutes: String,
    /// Calls to Telegram at a time; 1 to 32
    #[arg(long, env = "KEDACTL_SENDERS", default_value = "4", value_name = "N")]
    pub senders: String,
    /// Longest time for one call to Telegram
    #[arg(
        long,
        env = "KEDACTL_CALL_TIMEOUT_MS",
        default_value = "10000",
        value_name = "MS"
    )]
    pub call_timeout_ms: String,
    /// Longest time in which a notification is kept, fail-overs of Redis included
    #[arg(
        long,
        env = "KEDACTL_ACCEPT_TIMEOUT_MS",
        default_value = "4000",
        value_name = "MS"
    )]
    pub accept_timeout_ms: String,
    /// Largest body
    #[arg(
        long,
        env = "KEDACTL_MAX_BODY_BYTES",
        default_value = "4194304",
        value_name = "BYTES"
    )]
    pub max_body_bytes: String,
    /// Longest time in which a body arrives
    #[arg(
        long,
        env = "KEDACTL_BODY_TIMEOUT_MS",
        default_value = "10000",
        value_name = "MS"
    )]
    pub body_timeout_ms: String,
    #[command(flatten)]
    pub serving: ServingArgs,
    #[command(flatten)]
    pub redis: RedisArgs,
    #[command(flatten)]
    pub trace: TraceArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    pub listen: SocketAddr,
    pub metrics_listen: SocketAddr,
    /// The file of routes, as it is written.
    pub routes: String,
    pub token: Secret,
    pub bot_api: String,
    /// PEM.
    pub bot_api_authority: Option<String>,
    pub alertmanager: Option<String>,
    pub alertmanager_within: Duration,
    pub tokens: Vec<String>,
    pub known_for: Duration,
    pub stale_after: Duration,
    pub senders: usize,
    pub call_within: Duration,
    pub accept_within: Duration,
    pub max_body_bytes: usize,
    pub body_timeout: Duration,
    pub grace: Duration,
    pub lame_duck: Duration,
    pub redis: RedisConfig,
    pub pod_name: String,
    /// Nothing: no traces.
    pub trace: Option<TraceSettings>,
}

impl WebhookArgs {
    /// Returns the checked settings, or every problem at once.
    pub fn resolve(&self) -> Result<WebhookSettings, SettingsError> {
        let mut p = Problems::default();
        let serving = self.serving.resolve(&self.listen, &mut p);
        let routes = p.file("routes-file", &self.routes_file);
        if let Some(Err(problem)) = routes.as_deref().map(crate::webhook::Routes::read) {
            p.add("routes-file", problem);
        }
        let token = secret(&mut p, "bot-token-file", &self.bot_token_file);
        if token.as_deref().is_some_and(|it| !is_token(it)) {
            p.add(
                "bot-token-file",
                "holds no token of a bot, which is NUMBER:LETTERS",
            );
        }
        let tokens = self.tokens(&mut p);
        let bot_api = address(&mut p, "bot-api", &self.bot_api, "https://api.telegram.org");
        let authority = self.bot_api_ca_file.as_deref();
        let bot_api_authority = authority.and_then(|path| p.file("bot-api-ca-file", path));
        let example = "http://alertmanager:9093";
        let given = self.alertmanager.as_deref().filter(|it| !it.is_empty());
        let alertmanager = given.map(|it| address(&mut p, "alertmanager", it, example));
        let within = &self.alertmanager_timeout_ms;
        let alertmanager_within = p.millis("alertmanager-timeout-ms", within, 100..=15_000);
        let seconds = |n| Duration::from_secs(n);
        let known_for = seconds(p.number("known-seconds", &self.known_seconds, 60..=2_592_000));
        let stale_after = seconds(60 * p.number("stale-minutes", &self.stale_minutes, 1..=43_200));
        let senders = p.number("senders", &self.senders, 1..=32) as usize;
        let call_within = p.millis("call-timeout-ms", &self.call_timeout_ms, 100..=15_000);
        let accept_within = p.millis("accept-timeout-ms", &self.accept_timeout_ms, 100..=60_000);
        let most = p.number("max-body-bytes", &self.max_body_bytes, 1024..=64 << 20);
        let body_timeout = p.millis("body-timeout-ms", &self.body_timeout_ms, 10..=600_000);
        let redis = self.redis.resolve(&mut p);
        let trace = self.trace.resolve("kedactl-webhook", &mut p);
        let settings = (|| {
            Some(WebhookSettings {
                listen: serving.listen,
                metrics_listen: serving.metrics_listen,
                routes: routes?,
                token: Secret::new(token?),
                bot_api,
                bot_api_authority,
                alertmanager,
                alertmanager_within,
                tokens,
                known_for,
                stale_after,
                senders,
                call_within,
                accept_within,
                max_body_bytes: most as usize,
                body_timeout,
                grace: serving.grace,
                lame_duck: serving.lame_duck,
                redis: redis?,
                pod_name: serving.pod_name,
                trace,
            })
        })();
        p.finish(settings)
    }

    fn tokens(&self, p: &mut Problems) -> Vec<String> {
        let Some(text) = secret(p, "tokens-file", &self.tokens_file) else {
            return Vec::new();
        };
        let tokens = serving::tokens(p, &text);
        if tokens.len() > 2 {
            p.add(
                "tokens-file",
                "holds more than two tokens, the new one and the old one",
            );
        }
        tokens
    }
}

/// The text of a file that nobody else may read.
fn secret(p: &mut Problems, setting: &'static str, path: &Path) -> Option<String> {
    let text = p.file(setting, path)?;
    let mode = std::fs::metadata(path)
        .map(|it| it.mode())
        .unwrap_or_default();
    if mode & 0o007 != 0 {
        p.add(
            setting,
            format!(
                "`{}` may be read by everybody: `chmod o= FILE`",
                path.display()
            ),
        );
    }
    Some(text)
}

/// An address of HTTP without a slash at its end.
fn address(p: &mut Problems, setting: &'static str, text: &str, example: &str) -> String {
    let text = text.trim_end_matches('/');
    if !text.starts_with("https://") && !text.starts_with("http://") {
        p.add(setting, format!("`{text}` is no address such as {example}"));
    }
    text.to_owned()
}

fn is_token(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split_once(':').is_some_and(|(number, rest)| {
        number.parse::<u64>().is_ok() && rest.len() >= 8 && rest.chars().all(plain)
    })
}
