//! The section `webhook`: what is refused, and what follows from it elsewhere.

mod support;

use kedactl_config::BuiltImage;
use std::path::Path;
use support::{problems, project, set};

#[test]
fn contradictions_are_told_at_their_place() {
    let text = "monitoring: {profile: classic}
webhook:
  routes: {night shift: {chats: []}, night: {chats: [{id: 0}]}}
  operators: {id: 0}
  port: 9001
  metricsPort: 9001
  botApi: http://bots.example.com:8081/path
  egress: [{cidr: 10.0.0.0/8, except: [11.0.0.0/8], ports: [443]}]
  env: {BOT_TOKEN: x}
";
    insta::assert_snapshot!(problems("kind", text), @r#"
    the configuration is not valid:
      p/kedactl.yaml:3:12: webhook.routes."night shift": the key `night shift` is not 1 to 64 of A-Z, a-z, 0-9, `_` and `-`
      p/kedactl.yaml:3:33: webhook.routes."night shift".chats: expected at least 1 entries, found 0
      p/kedactl.yaml:7:11: webhook.botApi: expected an address such as `https://api.telegram.org`, without a path, found the text `http://bots.example.com:8081/path`
    "#);
    let text = "monitoring: {profile: classic}
webhook:
  routes: {night: {chats: [{id: 0}]}}
  operators: {id: 0}
  port: 9001
  metricsPort: 9001
  botApi: http://bots.example.com:8081
  egress: [{cidr: 10.0.0.0/8, except: [11.0.0.0/8], ports: [443]}]
  env: {BOT_TOKEN: x, KEDACTL_ALERTMANAGER: y}
";
    insta::assert_snapshot!(problems("kind", text), @"
    the configuration is not valid:
      p/kedactl.yaml:6:16: webhook.metricsPort: is the same as webhook.port, 9001
      p/kedactl.yaml:3:27: webhook.routes.night.chats: 0 is no chat: a bot is told the number of one with each message
      p/kedactl.yaml:4:19: webhook.operators.id: 0 is no chat
      p/kedactl.yaml:7:11: webhook.botApi: webhook.egress does not open port 8081: no pod reaches it
      p/kedactl.yaml:3:19: webhook.routes.night: none of the routes has the name `default`, where Alertmanager posts to
      p/kedactl.yaml:9:20: webhook.env.BOT_TOKEN: a secret does not belong into the environment: it shows in manifests and `kubectl describe`
      p/kedactl.yaml:9:45: webhook.env.KEDACTL_ALERTMANAGER: is set from the other values
      p/kedactl.yaml:8:11: webhook.egress: `except: 11.0.0.0/8` is not a part of `10.0.0.0/8`
    ");
}

#[test]
fn its_image_is_made_where_it_has_a_route_and_its_token_lies_beside_the_project() {
    let none = set("kind", &["name=shop"]).unwrap().config;
    assert!(!none.images.build.contains(&BuiltImage::Webhook) && !none.webhook.runs());
    let text = "webhook: {routes: {default: {chats: [{id: 1}]}}, botTokenFile: secret/bot}\n";
    let it = project("kind", text).unwrap().config;
    assert!(it.images.build.contains(&BuiltImage::Webhook) && it.webhook.runs());
    assert_eq!(
        it.webhook.bot_token_file.as_deref(),
        Some(Path::new("p/secret/bot"))
    );
    assert_eq!(it.webhook_address(), "http://webhook.keda.svc:8080");
    let named = format!("{text}api: {{}}\n").replace("botTokenFile", "image: mine:1, botTokenFile");
    let named = project("kind", &named).unwrap().config;
    assert!(!named.images.build.contains(&BuiltImage::Webhook));
    assert_eq!(project("local", text).unwrap().config.webhook.replicas, 1);
}
