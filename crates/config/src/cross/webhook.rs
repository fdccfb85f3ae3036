//! What the section `webhook` says about itself: chats, templates, ports.
//! Templates are read by those that fill them later.

use kedactl_alerts::Template;

use super::Cross;
use crate::model::{AlertChat, Config};

impl Cross<'_> {
    pub(super) fn webhook(&mut self, config: &Config) {
        let webhook = &config.webhook;
        if webhook.port == webhook.metrics_port {
            let message = format!("is the same as webhook.port, {}", webhook.port);
            self.add(&["webhook", "metricsPort"], message);
        }
        for (name, route) in &webhook.routes {
            if !route.chats.iter().all(exists) {
                let message =
                    "0 is no chat: a bot is told the number of one with each message".to_owned();
                self.add(&["webhook", "routes", name, "chats"], message);
            }
            if let Err(error) = Template::new(&route.template.texts()) {
                let path = ["webhook", "routes", name, "template", error.block];
                self.add(&path, format!("is no template: {}", error.problem));
            }
        }
        if !webhook.operators.as_ref().is_none_or(exists) {
            self.add(&["webhook", "operators", "id"], "0 is no chat".to_owned());
        }
        let closed = |port: &u16| {
            let ways = webhook.egress.iter();
            !ways
                .map(|way| &way.ports)
                .any(|ports| ports.is_empty() || ports.contains(port))
        };
        let port = port_of(&webhook.bot_api).filter(|_| config.provider.is_cluster());
        if let Some(port) = port.filter(closed).filter(|_| webhook.runs()) {
            let message = format!("webhook.egress does not open port {port}: no pod reaches it");
            self.add(&["webhook", "botApi"], message);
        }
        if webhook.runs()
            && !webhook.routes.contains_key(crate::Webhook::DEFAULT_ROUTE)
            && config.is_monitored()
        {
            let message =
                "none of the routes has the name `default`, where Alertmanager posts to".to_owned();
            let first = webhook.routes.keys().next().map_or("", String::as_str);
            self.add(&["webhook", "routes", first], message);
        }
    }
}

/// The port of an address, `http://host:port`.
fn port_of(address: &str) -> Option<u16> {
    let (scheme, host) = address.split_once("://")?;
    match host.rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => Some(if scheme == "https" { 443 } else { 80 }),
    }
}

fn exists(chat: &AlertChat) -> bool {
    chat.id != 0
}
