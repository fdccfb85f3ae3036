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

#[test]
fn amtool_of_0_25_takes_it_with_and_without_routes() {
    let Some(amtool) = program("amtool") else {
        return;
    };
    let routed = [
        "monitoring.alerts.routes=[{labels: {severity: critical}, route: oncall}]",
        "monitoring.alerts.watchdog.route=alive",
    ];
    for (sets, routes) in [
        (&[][..], &[][..]),
        (&[], &["default"]),
        (&routed, &["oncall", "default", "alive"]),
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
