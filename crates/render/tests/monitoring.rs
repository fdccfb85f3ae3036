//! What Prometheus and Alertmanager are told, as an operator would read it, and what is refused.
//! Whether their own programs take it is held in `tests/monitoring`.

mod support;

use kedactl_render::Templates;
use kedactl_render::monitoring::{
    AlertmanagerTarget, AlertmanagerVersion, WebhookTarget, alertmanager, rules,
};
use support::{config, snapshot};

fn target(routes: &[&str], minor: u32) -> AlertmanagerTarget {
    let webhook = WebhookTarget {
        url_base: "http://webhook.keda.svc:8080/v1/alerts/".into(),
        credentials_file: "/etc/alertmanager/secrets/webhook-token/token".into(),
        routes: routes.iter().map(|&it| it.into()).collect(),
    };
    AlertmanagerTarget {
        webhook: Some(webhook),
        version: AlertmanagerVersion(0, minor),
    }
}

#[test]
fn the_rules() {
    snapshot("rules", &rules(&config("kind", &[])).unwrap());
}

#[test]
fn routes_of_every_kind() {
    let config = config(
        "kind",
        &[
            "monitoring.alerts.routes=[{labels: {severity: critical, team: 'a \"b\" \\c'}, route: oncall}]",
            "monitoring.alerts.watchdog={route: alive, repeatSeconds: 30}",
        ],
    );
    let target = target(&["alive", "default", "oncall"], 28);
    snapshot("alertmanager", &alertmanager(&config, &target).unwrap());
}

#[test]
fn without_a_webhook_nothing_is_sent() {
    let nobody = AlertmanagerTarget {
        webhook: None,
        version: AlertmanagerVersion(0, 25),
    };
    let text = alertmanager(&config("local", &[]), &nobody).unwrap();
    assert!(text.contains("  receiver: \"null\"\n"), "{text}");
    assert!(!text.contains("webhook_configs"), "{text}");
}

#[test]
fn the_first_route_is_the_default_where_none_has_that_name() {
    let text = alertmanager(&config("local", &[]), &target(&["ops", "late"], 25)).unwrap();
    assert!(text.contains("  receiver: \"webhook-ops\"\n"), "{text}");
    let address = "  - url: \"http://webhook.keda.svc:8080/v1/alerts/late\"\n";
    assert!(text.contains(address), "{text}");
    assert!(
        !text.contains("timeout: 10s"),
        "0.25 does not know it: {text}"
    );
}

#[test]
fn routes_that_the_webhook_does_not_have_are_told() {
    let told = |sets: &[&str], target: &AlertmanagerTarget| {
        let error = alertmanager(&config("local", sets), target).unwrap_err();
        format!(
            "{error}\nhint: {}",
            error.hint.as_deref().unwrap_or_default()
        )
    };
    let routes = ["monitoring.alerts.routes=[{labels: {severity: critical}, route: oncal}]"];
    insta::assert_snapshot!(told(&routes, &target(&["default", "oncall"], 25)), @r"
    template `monitoring/alertmanager.yaml.hbs`: monitoring.alerts.routes: the webhook has no route `oncal`, did you mean `oncall`?
    hint: routes of the webhook: default, oncall
    ");
    let watchdog = ["monitoring.alerts.watchdog.route=alive"];
    let nobody = AlertmanagerTarget {
        webhook: None,
        version: AlertmanagerVersion(0, 25),
    };
    insta::assert_snapshot!(told(&watchdog, &nobody), @r"
    template `monitoring/alertmanager.yaml.hbs`: monitoring.alerts.watchdog.route: the webhook has no route `alive`
    hint: it has no route at all, so nothing is sent anywhere
    ");
}

#[test]
fn rules_follow_the_redis_that_there_is() {
    let own = rules(&config("kind", &[])).unwrap();
    assert!(own.contains("redis_connected_slaves{namespace=\"keda\"}) < 2\n"));
    assert!(
        own.contains("or label_replace(vector(536870912), "),
        "512Mi"
    );
    let local = rules(&config("local", &[])).unwrap();
    assert!(!local.contains("label_replace(vector(536870912), "));
    let one = [
        "redis={nodes: 1, sentinels: 0, minReplicasToWrite: 0}",
        "api.durability=none",
    ];
    let one = rules(&config("kind", &one)).unwrap();
    assert!(!one.contains("RedisReplicasMissing") && !one.contains("Sentinel"));
    let elsewhere = [
        "redis.sentinelAddresses=['a:1','b:1','c:1']",
        "releases={redis: null}",
    ];
    let elsewhere = rules(&config("kind", &elsewhere)).unwrap();
    assert!(!elsewhere.contains("RedisReplicasMissing"));
    assert!(elsewhere.contains("SentinelQuorumLost"));
}

#[test]
fn a_projects_template_wins_and_is_checked() {
    let config = config("local", &[]);
    let own = Templates::embedded().with("monitoring/rules/watch.hbs", "");
    assert!(!own.rules(&config).unwrap().contains("Watchdog"));
    let told = |template: &str, text: &str| {
        let templates = Templates::embedded().with(template, text);
        templates.rules(&config).unwrap_err().to_string()
    };
    insta::assert_snapshot!(told("monitoring/rules.yaml.hbs", "groups: {{monitoring.ruls}}"), @r"template `monitoring/rules.yaml.hbs` line 1: unknown name `monitoring.ruls`, did you mean `monitoring.rules`?");
    insta::assert_snapshot!(told("monitoring/rules.yaml.hbs", "- groups: []"), @r"template `monitoring/rules.yaml.hbs`: its output is not one map with the key `groups`");
    insta::assert_snapshot!(told("monitoring/rules/api.hbs", "- name: [\n"), @r#"template `monitoring/rules.yaml.hbs`, line 425 of its output (`- name: kedactl-webhook`): "-" is only valid inside a block"#);
}
