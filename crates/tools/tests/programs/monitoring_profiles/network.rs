//! Who may talk to whom, by the policies of our own chart and of the stack together.

use super::Watched;
use crate::network::{Network, Pod};
use crate::support::helms;

#[tokio::test]
async fn the_monitoring_reaches_what_it_needs_and_nobody_else_does() {
    for program in helms() {
        let watched = Watched::new(&program, "minimal", &[]).await;
        let network = Network::new(&watched.objects);
        let pod = |name: &'static str| {
            let mut all = watched.objects.iter();
            let found =
                all.find(|it| it["metadata"]["name"] == name && it["spec"]["template"].is_object());
            Pod::of(name, found.unwrap_or_else(|| panic!("{name}")))
        };
        let [prometheus, alertmanager, loki, alloy, grafana, objects] = [
            "prometheus",
            "alertmanager",
            "loki",
            "alloy",
            "grafana",
            "kube-state-metrics",
        ]
        .map(pod);
        let [api, worker, webhook] = ["api", "worker", "webhook"].map(pod);
        let keda = Pod::new("keda", "keda-system", &[("app", "keda-operator")]);
        let stranger = Pod::new("stranger", "keda-monitoring", &[("app", "x")]);
        for (from, to, port, may) in [
            (&prometheus, &api, 9001, true),
            (&prometheus, &worker, 9001, true),
            (&prometheus, &webhook, 9001, true),
            (&prometheus, &keda, 8080, true),
            (&prometheus, &objects, 8080, true),
            (&prometheus, &alertmanager, 9093, true),
            (&prometheus, &loki, 3100, true),
            (&prometheus, &grafana, 3000, true),
            (&prometheus, &alloy, 12345, true),
            (&alertmanager, &webhook, 8080, true),
            (&webhook, &alertmanager, 9093, true),
            (&grafana, &prometheus, 9090, true),
            (&grafana, &loki, 3100, true),
            (&alloy, &loki, 3100, true),
            (&alertmanager, &api, 9001, false),
            (&grafana, &api, 9001, false),
            (&loki, &prometheus, 9090, false),
            (&api, &alertmanager, 9093, false),
            (&worker, &prometheus, 9090, false),
            (&api, &loki, 3100, false),
            (&webhook, &grafana, 3000, false),
            (&stranger, &prometheus, 9090, false),
            (&stranger, &alertmanager, 9093, false),
            (&stranger, &loki, 3100, false),
        ] {
            let can = network.connects(from, to, "TCP", port);
            assert_eq!(can, may, "{} to {}:{port}", from.name, to.name);
        }
        let dns = Pod::new("dns", "kube-system", &[("k8s-app", "kube-dns")]);
        for from in [
            &prometheus,
            &alertmanager,
            &loki,
            &alloy,
            &grafana,
            &objects,
        ] {
            assert!(network.connects(from, &dns, "UDP", 53), "{}", from.name);
            assert!(!network.leaves(from, [8, 8, 8, 8].into(), "TCP", 80));
            // The API server's address is not known, and these three ask it.
            let asks = ["prometheus", "alloy", "kube-state-metrics"].contains(&from.name);
            let can = network.leaves(from, [10, 0, 0, 1].into(), "TCP", 6443);
            assert_eq!(can, asks, "{}", from.name);
        }
    }
}
