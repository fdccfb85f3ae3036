//! `charts list|pull|check` as a user sees them, with the real helm and a repository on this machine.
//!
//! It must not repeat the rules' own tests, nor those of fetching.

use crate::context;
use kedactl_testkit::{ChartServer, Fault, helms, packed_chart};
use kedactl_tests::Context;
use std::path::Path;

/// A project with two releases: a chart of a repository, and a folder of the user's that breaks a rule.
fn project(server: &ChartServer, helm: &Path) -> Context {
    let context = context();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hello}\n";
    server.add(
        "hello",
        "1.2.3",
        packed_chart("hello", "1.2.3", &[("templates/map.yaml", map)]),
    );
    let text = format!(
        "provider: context\nhelm: {{program: {}}}\nreleases:\n  keda: null\n  metrics-server: null\n  redis: null\n  \
         hello: {{chart: hello, repo: '{}', version: 1.2.3}}\n  loki: {{chart: ./loki-stack}}\n\
         redis: {{sentinelAddresses: ['10.0.0.1:26379']}}\n",
        helm.display(),
        server.url()
    );
    context.write("kedactl.yaml", &text);
    context.write(
        "loki-stack/Chart.yaml",
        "apiVersion: v2\nname: loki-stack\nversion: 2.10.3\nappVersion: v2.6.1\n",
    );
    context.write(
        "loki-stack/values.yaml",
        "loki: {isDefault: true}\nprometheus: {isDefault: true}\n",
    );
    let sources = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sources, labels: {grafana_datasource: '1'}}\ndata:\n  s.yaml: |\n    \
                   datasources:\n    - {name: Loki, isDefault: {{ .Values.loki.isDefault }}}\n    - {name: Prometheus, isDefault: {{ .Values.prometheus.isDefault }}}\n";
    context.write("loki-stack/templates/sources.yaml", sources);
    context
}

/// The columns of a table without what differs from run to run: the port and with it the widths, and digests.
fn block(outcome: &kedactl_tests::Outcome, context: &Context, server: &ChartServer) -> String {
    let text = outcome.block(context.dir()).replace(&server.url(), "URL");
    let line = |line: &str| {
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let cell = |cell: &str| match cell.split_once("sha256:") {
            // Digests of archives depend on the compressor.
            Some((head, _)) => format!("{head}sha256:…"),
            None => cell.to_owned(),
        };
        let cells: Vec<String> = cells.map(cell).collect();
        cells.join("  ")
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n")
}

#[test]
fn charts_are_listed_pulled_and_carried_along() {
    for helm in helms() {
        let server = ChartServer::start();
        let context = project(&server, &helm);
        let list = context.run(&["charts", "list"]);
        insta::allow_duplicates! {
        insta::assert_snapshot!(block(&list, &context, &server), @r"
        exit: 0
        --- stdout ---
        release  chart  version  app  source  on this machine
        hello  hello  1.2.3  -  URL  not fetched
        loki  loki-stack  2.10.3  v2.6.1  [DIR]/project/./loki-stack  folder, sha256:…
        --- stderr ---
        ");
        }
        server.fail("/hello-1.2.3.tgz", [Fault::Status(429, Some(1))]);
        let pulled = context
            .run(&["charts", "pull", "--to", "carried"])
            .expect(0);
        assert!(
            pulled.stderr.contains("HTTP 429; again in 1.0 s"),
            "{pulled:?}"
        );
        assert!(
            context
                .dir()
                .join("project/carried/hello-1.2.3.tgz")
                .is_file()
        );
        insta::allow_duplicates! {
        insta::assert_snapshot!(block(&context.run(&["charts", "list"]), &context, &server), @r"
        exit: 0
        --- stdout ---
        release  chart  version  app  source  on this machine
        hello  hello  1.2.3  9.9  URL  cached, sha256:…
        loki  loki-stack  2.10.3  v2.6.1  [DIR]/project/./loki-stack  folder, sha256:…
        --- stderr ---
        ");
        }
        // Without its source and without what was fetched: from the folder.
        drop(server);
        let carried = [
            "--set",
            "helm.vendored=carried",
            "--state-dir",
            "elsewhere",
            "-o",
            "json",
        ];
        let list = context
            .run(&[&["charts", "list", "hello"][..], &carried].concat())
            .expect(0);
        let hello = &list.json()["charts"][0];
        assert_eq!(
            (&hello["place"], &hello["app_version"]),
            (&"vendored".into(), &"9.9".into())
        );
        context
            .run(&[&["charts", "check", "hello"][..], &carried].concat())
            .check(0);
        let spoilt = context.dir().join("project/carried/hello-1.2.3.tgz");
        std::fs::write(spoilt, packed_chart("hello", "1.2.3", &[("evil", "")])).unwrap();
        let refused = context
            .run(&[&["charts", "check", "hello"][..], &carried].concat())
            .expect(1);
        assert!(refused.stderr.contains("error[KD1001]"), "{refused:?}");
    }
}

#[test]
fn what_does_not_work_together_is_found_and_cured_by_the_values_that_are_written() {
    for helm in helms() {
        let server = ChartServer::start();
        let context = project(&server, &helm);
        let found = context.run(&["charts", "check", "--no-progress", "--fix", "cure.yaml"]);
        insta::allow_duplicates! {
        insta::assert_snapshot!(found.block(context.dir()), @r"
        exit: 4
        --- stdout ---
        release loki
          KC0104 Grafana is given two default data sources
            `Loki` is one, and `Prometheus` is one too
            It ends with `Only one datasource per organization can be marked as default`.
            issues: prometheus-community/helm-charts#482, prometheus-community/helm-charts#2686
            values that cure it:
              releases:
                loki:
                  values:
                    loki:
                      isDefault: false
        2 releases rendered for Kubernetes 1.34.0: 1 finding
        --- stderr ---
          ok release hello: rendered
          ok release loki: rendered
        error[KD1003]: 2 releases rendered for Kubernetes 1.34.0: 1 finding
        hint: the cures are in cure.yaml: look at them, then pass `-f cure.yaml`
        ");
        }
        let json = context
            .run(&["charts", "check", "--kube-version", "1.33", "-o", "json"])
            .expect(4)
            .json();
        assert_eq!(
            (&json["kube_version"], &json["releases"]),
            (&"1.33.0".into(), &2.into())
        );
        assert_eq!(json["findings"][0]["rule"]["id"], "KC0104");
        assert_eq!(
            json["findings"][0]["patch"]["releases"]["loki"]["values"]["loki"]["isDefault"],
            false
        );
        let cured = context
            .run(&["charts", "check", "-f", "cure.yaml", "--fix", "cure.yaml"])
            .expect(0);
        assert!(
            cured
                .stdout
                .ends_with("2 releases rendered for Kubernetes 1.34.0: 0 findings\n"),
            "{cured:?}"
        );
        // Written over is what was written by it, and nothing else.
        context
            .run(&["charts", "check", "--fix", "cure.yaml"])
            .check(4);
        let mine = context.write("mine.yaml", "name: x\n");
        context
            .run(&["charts", "check", "--fix", "mine.yaml"])
            .check(64);
        assert_eq!(std::fs::read_to_string(mine).unwrap(), "name: x\n");
    }
}

/// Helm's own words about a folder that was cloned, and a field of a receiver that came three versions later.
#[test]
fn a_chart_that_lacks_its_parts_and_a_field_of_a_younger_alertmanager_are_explained() {
    for helm in helms() {
        let context = context();
        let project = format!(
            "provider: context\nhelm: {{program: {}}}\nredis: {{sentinelAddresses: ['10.0.0.1:26379']}}\nreleases:\n  \
             {{keda: null, metrics-server: null, redis: null, loki: {{chart: ./loki-stack}}, alerts: {{chart: ./alertmanager}}}}\n",
            helm.display()
        );
        context.write("kedactl.yaml", &project);
        context.write(
            "loki-stack/Chart.yaml",
            "apiVersion: v2\nname: loki-stack\nversion: 2.10.3\ndependencies:\n- {name: promtail, version: 6.17.1, repository: 'https://x.invalid'}\n",
        );
        context.write(
            "alertmanager/Chart.yaml",
            "apiVersion: v2\nname: alertmanager\nversion: 0.24.1\n",
        );
        context.write(
            "alertmanager/values.yaml",
            "config: {receivers: [{name: hook, webhook_configs: [{url: 'http://webhook', timeout: 10s}]}]}\n",
        );
        let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {template: {spec: {containers: [\
                   {name: a, image: 'quay.io/prometheus/alertmanager:v0.25.0'}]}}}\n---\napiVersion: v1\nkind: ConfigMap\n\
                   metadata: {name: a}\ndata:\n  alertmanager.yml: |\n    {{- toYaml .Values.config | nindent 4 }}\n";
        context.write("alertmanager/templates/all.yaml", set);
        let found = context.run(&["charts", "check", "--fix", "cure.yaml", "-o", "json"]);
        let json = found.expect(4).json();
        let findings = json["findings"].as_array().unwrap();
        let ids: Vec<&str> = findings
            .iter()
            .filter_map(|it| it["rule"]["id"].as_str())
            .collect();
        assert_eq!(ids, ["KC0503", "KC0006"]);
        let message = findings[1]["message"].as_str().unwrap();
        assert!(message.starts_with("it lacks promtail;"), "{message}");
        // The cure of the second names the chart as it is published, which no test can reach.
        let cured = context.run(&["charts", "check", "alerts", "-f", "cure.yaml"]);
        cured.check(0);
    }
}

#[test]
fn a_source_that_is_not_there_and_a_release_that_is_not_there() {
    let context = context();
    let outcome = context.run(&["charts", "check", "kedda"]).expect(64);
    assert!(
        outcome
            .stderr
            .contains("there is no release `kedda`, did you mean `keda`?"),
        "{outcome:?}"
    );
    context
        .run(&["charts", "check", "--kube-version", "new"])
        .check(64);
    for helm in helms() {
        let server = ChartServer::start();
        let context = project(&server, &helm);
        drop(server);
        let gone = context.run(&["charts", "pull", "hello"]).expect(8);
        assert!(
            gone.stderr
                .contains("error[KD1002]: chart hello 1.2.3 could not be fetched from http://127"),
            "{gone:?}"
        );
        let program = "helm.program=/nonexistent/helm";
        let missing = context.run(&["charts", "pull", "--set", program]).expect(1);
        assert!(missing.stderr.contains("error[KD0202]"), "{missing:?}");
        context.run(&["charts", "list", "--set", program]).check(0);
    }
}
