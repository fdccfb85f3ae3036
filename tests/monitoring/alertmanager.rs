//! Alertmanager's configuration as amtool reads it.

use kedactl_render::monitoring::{
    AlertmanagerTarget, AlertmanagerVersion, WebhookTarget, alertmanager,
};

use crate::programs::{config, folder, program, run};

fn target(routes: &[&str], minor: u32) -> AlertmanagerTarget {
    let webhook = WebhookTarget {
        url_base: "http://webhook.keda.svc:8080/v1/alerts".into(),
        credentials_file: "/etc/alertmanager/secrets/webhook-token/token".into(),
        routes: routes.iter().map(|&it| it.into()).collect(),
    };
    AlertmanagerTarget {
        webhook: (!routes.is_empty()).then_some(webhook),
        version: AlertmanagerVersion(0, minor),
    }
}

const ROUTED: [&str; 2] = [
    "monitoring.alerts.routes=[{labels: {severity: critical}, route: oncall}]",
    "monitoring.alerts.watchdog.route=alive",
];

#[test]
fn amtool_of_0_25_takes_it_with_and_without_routes() {
    let Some(amtool) = program("amtool") else {
        return;
    };
    for (sets, routes) in [
        (&[][..], &[][..]),
        (&[], &["default"]),
        (&ROUTED, &["oncall", "default", "alive"]),
    ] {
        let text = alertmanager(&config("local", sets), &target(routes, 25)).unwrap();
        let folder = folder(&[("alertmanager.yml", &text)]);
        let checked = run(
            &amtool,
            &["check-config", "alertmanager.yml"],
            folder.path(),
        );
        assert!(checked.is_ok(), "{checked:?}\n{text}");
    }
}

#[test]
fn each_alert_takes_its_route() {
    let Some(amtool) = program("amtool") else {
        return;
    };
    let cases: [(&[&str], &[&str], &str, &str); 6] = [
        (&ROUTED, &["severity=critical"], "oncall", ""),
        (&ROUTED, &["severity=warning"], "default", ""),
        (
            &ROUTED,
            &["alertname=Watchdog", "severity=none"],
            "alive",
            "",
        ),
        (&[], &["severity=critical"], "default", ""),
        (&[], &["alertname=Watchdog", "severity=none"], "", "null"),
        (&[], &["severity=warning"], "default", ""),
    ];
    for (sets, labels, route, other) in cases {
        let target = target(&["oncall", "default", "alive"], 25);
        let text = alertmanager(&config("local", sets), &target).unwrap();
        let folder = folder(&[("alertmanager.yml", &text)]);
        let command = ["config", "routes", "test", "--config.file=alertmanager.yml"];
        let told = run(&amtool, &[&command, labels].concat(), folder.path()).unwrap();
        let expected = match other {
            "" => format!("webhook-{route}"),
            other => other.to_owned(),
        };
        assert_eq!(told.trim(), expected, "{labels:?}");
    }
}
