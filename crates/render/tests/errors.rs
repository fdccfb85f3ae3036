//! What a user sees when a template of a project is wrong.
//! Each case changes one thing in the built-in templates.

#[expect(dead_code, reason = "shared with the other tests")]
mod support;

use std::io;
use std::path::Path;

use kedactl_render::{TEMPLATES, Templates};
use support::config;

/// The message and the hint after `from` became `to` in a template.
fn change(template: &str, from: &str, to: &str) -> String {
    let (_, text) = TEMPLATES
        .iter()
        .find(|(name, _)| *name == template)
        .expect("it is built in");
    assert!(text.contains(from), "{template} holds {from:?}");
    shown(&Templates::embedded().with(template, text.replacen(from, to, 1)))
}

fn shown(templates: &Templates) -> String {
    let error = templates
        .render(&config("local", &[]))
        .expect_err("the change is wrong");
    match &error.hint {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn names_that_do_not_exist() {
    let cases = [
        change("api.yaml.hbs", "{{yaml api.image}}", "{{yaml api.imgae}}"),
        change("api.yaml.hbs", "{{api.port}}", "{{api.prot}}"),
        change("api.yaml.hbs", "{{#if api.extraArgs}}", "{{#if api.args}}"),
        change(
            "api.yaml.hbs",
            "{{#each api.env}}",
            "{{#each api.environment}}",
        ),
        change("redis-env.hbs", "redis.master}}", "redis.mastr}}"),
        change(
            "worker.yaml.hbs",
            "{{> redis-env.hbs}}",
            "{{> redis-envs.hbs}}",
        ),
        change(
            "worker.yaml.hbs",
            "{{yaml worker.image}}",
            "{{ymal worker.image}}",
        ),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

#[test]
fn templates_and_output_that_cannot_be_read() {
    let cases = [
        change(
            "namespace.yaml.hbs",
            "{{yaml namespace}}",
            "{{yaml namespace}",
        ),
        change(
            "worker.yaml.hbs",
            "{{#each worker.env}}",
            "{{#eech worker.env}}",
        ),
        change("namespace.yaml.hbs", "  name: ", " name: "),
        change(
            "api.yaml.hbs",
            "revisionHistoryLimit: 3",
            "revisionHistoryLimit: 3\n  revisionHistoryLimit: 3",
        ),
        change(
            "api.yaml.hbs",
            "image: {{yaml api.image}}",
            "image: {{yaml api.resources}}",
        ),
        change(
            "worker.yaml.hbs",
            "{{yaml worker.image}}",
            "{{yaml queue.listName}}",
        ),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

#[test]
fn fields_and_kinds_that_kubernetes_does_not_know() {
    let cases = [
        change("api.yaml.hbs", "maxReplicas:", "maxReplica:"),
        change(
            "api.yaml.hbs",
            "readOnlyRootFilesystem",
            "readonlyRootFilesystem",
        ),
        change("worker.yaml.hbs", "maxReplicaCount:", "maxReplicas:"),
        change(
            "worker.yaml.hbs",
            "listLength: {{quote computed.listLength}}",
            "listLength: {{computed.listLength}}",
        ),
        change(
            "api.yaml.hbs",
            "containerPort: {{yaml api.port}}",
            "containerPort: {{quote api.port}}",
        ),
        change(
            "worker.yaml.hbs",
            "kind: TriggerAuthentication",
            "kind: TrigerAuthentication",
        ),
        change(
            "worker.yaml.hbs",
            "apiVersion: keda.sh/v1alpha1",
            "apiVersion: keda.sh/v1",
        ),
        change("namespace.yaml.hbs", "kind: Namespace", "kind: Secret"),
        change(
            "namespace.yaml.hbs",
            "name: {{yaml namespace}}",
            "labels: {}",
        ),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

#[test]
fn references_that_lead_nowhere() {
    let last = |template: &str, from: &str, to: &str| {
        let (_, text) = TEMPLATES
            .iter()
            .find(|(name, _)| *name == template)
            .unwrap();
        let at = text.rfind(from).unwrap();
        let changed = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
        shown(&Templates::embedded().with(template, changed))
    };
    let cases = [
        last(
            "worker.yaml.hbs",
            "        name: redis",
            "        name: reddis",
        ),
        last("api.yaml.hbs", "    name: api\n", "    name: apis\n"),
        last("api.yaml.hbs", "targetPort: metrics", "targetPort: metric"),
        last(
            "api.yaml.hbs",
            "  behavior:{{toYaml api.autoscaling.behavior indent=4}}\n",
            "",
        ),
        change("api.yaml.hbs", "revisionHistoryLimit: 3", "replicas: 2"),
        last(
            "api.yaml.hbs",
            "              port: metrics",
            "              port: metric",
        ),
        change(
            "api.yaml.hbs",
            "serviceAccountName: api",
            "serviceAccountName: apu",
        ),
        change("redis-mounts.hbs", "- name: redis", "- name: rediss"),
        change(
            "api.yaml.hbs",
            "name: KEDACTL_QUEUE",
            "name: KEDACTL_LISTEN",
        ),
        change(
            "worker.yaml.hbs",
            "matchLabels:{{toYaml computed.worker.selector indent=6}}",
            "matchLabels: {app: x}",
        ),
        change("worker.yaml.hbs", "listLength: ", "listLenght: "),
        change(
            "worker.yaml.hbs",
            "  cooldownPeriod:",
            "  idleReplicaCount: 3\n  cooldownPeriod:",
        ),
        change(
            "network.yaml.hbs",
            "matchLabels:{{toYaml computed.api.selector indent=6}}",
            "matchLabels: {app: x}",
        ),
        last(
            "worker.yaml.hbs",
            "matchLabels:{{toYaml computed.worker.selector indent=6}}",
            "matchLabels: {app: x}",
        ),
        shown(&Templates::embedded().with(
            "more.yaml.hbs",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: api, namespace: keda}\n",
        )),
    ];
    insta::assert_snapshot!(cases.join("\n\n"));
}

#[test]
fn a_projects_template_wins() {
    let changed = TEMPLATES[0]
        .1
        .replace("revisionHistoryLimit: 3", "revisionHistoryLimit: 7");
    let files = move |path: &Path, _: u64| -> io::Result<Vec<u8>> {
        if path.ends_with("p/templates/api.yaml.hbs") {
            Ok(changed.clone().into_bytes())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    };
    let manifests = Templates::load(Some(Path::new("p")), &files)
        .unwrap()
        .render(&config("local", &[]))
        .unwrap();
    let spec = manifests.deployment("api").unwrap().spec.as_ref().unwrap();
    assert_eq!(spec.revision_history_limit, Some(7));
    let denied =
        |_: &Path, _: u64| -> io::Result<Vec<u8>> { Err(io::ErrorKind::PermissionDenied.into()) };
    insta::assert_snapshot!(
        Templates::load(Some(Path::new("p")), &denied).unwrap_err(),
        @"template `api.yaml.hbs`: p/templates/api.yaml.hbs cannot be read: permission denied"
    );
}

#[test]
fn every_template_is_built_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "hbs") {
                let name = path.strip_prefix(&root).unwrap();
                files.push(name.display().to_string());
            }
        }
    }
    files.sort();
    let known: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, known);
}
