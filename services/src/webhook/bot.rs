//! The way to the Bot API.
//!
//! It must not let the token out: it is part of the address, so no error keeps its address.

use std::fmt;
use std::time::Duration;

use kedactl_alerts::telegram::{Answer, Call, Heard};
use kedactl_queue::Secret;
use reqwest::redirect::Policy;

/// Bytes of an answer that are read.
const MOST: usize = 64 * 1024;

/// A bot, by its token.
pub(super) struct Bot {
    client: reqwest::Client,
    /// Before `/bot<token>/…`.
    base: String,
    token: Secret,
    within: Duration,
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl Bot {
    /// One at a Bot API; `within` is for a whole call. `authority`: certificates to trust beside those of the system, as PEM.
    pub(super) fn new(
        base: &str,
        token: Secret,
        within: Duration,
        authority: Option<&str>,
    ) -> Result<Self, String> {
        let plain = |error: reqwest::Error| error.without_url().to_string();
        let mut builder = reqwest::Client::builder()
            .timeout(within)
            .connect_timeout(within / 2)
            .redirect(Policy::none())
            .pool_max_idle_per_host(8);
        if let Some(pem) = authority {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
            builder = builder.tls_certs_merge(certificates.map_err(plain)?);
        }
        Ok(Self {
            client: builder.build().map_err(plain)?,
            base: base.trim_end_matches('/').to_owned(),
            token,
            within,
        })
    }

    /// One call, and what its answer means.
    pub(super) async fn call(&self, call: &Call) -> Answer {
        match self.asked(call, self.within).await {
            Ok((status, body)) => Answer::read(status, &body),
            Err(error) => Answer::Failed(words(&error.without_url())),
        }
    }

    /// Waits so long for presses from this number on.
    pub(super) async fn updates(&self, from: i64, wait: Duration) -> Heard {
        let call = Call::updates(from, wait.as_secs());
        match self.asked(&call, wait + self.within).await {
            Ok((status, body)) => Heard::read(status, &body),
            Err(error) => Heard::Failed(words(&error.without_url())),
        }
    }

    async fn asked(&self, call: &Call, within: Duration) -> Result<(u16, Vec<u8>), reqwest::Error> {
        let address = format!(
            "{}/bot{}/{}",
            self.base,
            self.token.reveal(),
            call.method.name()
        );
        let request = self.client.post(address).timeout(within);
        let mut response = request.json(&call.body).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST {
                break;
            }
        }
        Ok((response.status().as_u16(), body))
    }
}

/// An error with its causes; none of them has the address.
fn words(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "the Bot API did not answer in time".to_owned()
    } else if error.is_connect() {
        "the Bot API cannot be reached".to_owned()
    } else {
        "the Bot API's answer broke off".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !more.contains("/bot") {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text.chars().take(200).collect()
}
