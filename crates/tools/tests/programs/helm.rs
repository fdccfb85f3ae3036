//! The real helm, 3 and 4: what can be asked of it without a cluster.

use kedactl_plan::{Collect, Step};
use kedactl_tools::helm::Helm;
use kedactl_tools::{CancellationToken, EMBEDDED_CHARTS, Mask, Release, ToolError};
use serde_json::json;

use crate::support::{chart, declared, helms, left_over, name, release, settings};

#[tokio::test]
async fn a_release_is_rendered_the_same_way_twice_and_leaves_no_file() {
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        let release = release(
            &chart(directory.path()),
            "{greeting: \"on\", auth: {password: canary-1}}",
        );
        let one = helm.render(&name("r"), &release, &never).await.unwrap();
        assert_eq!(
            one,
            helm.render(&name("r"), &release, &never).await.unwrap()
        );
        let greeting = one
            .objects
            .iter()
            .find(|object| object["kind"] == "ConfigMap")
            .unwrap();
        assert_eq!(greeting["data"]["greeting"], "on");
        assert!(left_over(directory.path()).is_empty());
    }
}

#[tokio::test]
async fn what_helm_refuses_is_told_without_the_secret() {
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap()
            .hiding(&Mask::new(["other-canary"]));
        let release = release(
            &chart(directory.path()),
            "{failing: true, auth: {password: canary-2}}",
        );
        let error = helm.render(&name("r"), &release, &never).await.unwrap_err();
        assert!(error.to_string().contains("refused with ***"), "{error}");
        assert!(!error.to_string().contains("canary-2"), "{error}");
        assert!(left_over(directory.path()).is_empty());
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_an_error_with_a_cure() {
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        let error = helm.history(&name("r"), "apps", &never).await.unwrap_err();
        assert!(matches!(error, ToolError::Refused { .. }), "{error}");
        let release = release(&chart(directory.path()), "{}");
        let sink = Collect::default();
        let step = Step::start(&sink, "r", "r");
        let error = helm
            .apply(&name("r"), &release, None, &step, &never)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .to_lowercase()
                .contains("cluster unreachable"),
            "{error}"
        );
        assert!(error.hint().is_some(), "{error}");
    }
}

#[tokio::test]
async fn the_values_of_a_template_lie_below_files_and_values() {
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        let mut release = release(&chart(directory.path()), "{}");
        let beneath = json!({"greeting": "from a template", "auth": {"password": "canary-3"}});
        let helm = helm.beneath(&name("r"), beneath.as_object().unwrap().clone());
        let greeting = async |release: &Release| {
            let rendered = helm.render(&name("r"), release, &never).await.unwrap();
            let map = rendered
                .objects
                .iter()
                .find(|object| object["kind"] == "ConfigMap");
            map.unwrap()["data"]["greeting"].clone()
        };
        assert_eq!(greeting(&release).await, "from a template");
        let file = directory.path().join("values.yaml");
        std::fs::write(&file, "greeting: from a file\n").unwrap();
        release.values_files.push(file);
        assert_eq!(greeting(&release).await, "from a file");
        release
            .values
            .insert("greeting".into(), "from values".into());
        assert_eq!(greeting(&release).await, "from values");
        release.values.insert("failing".into(), true.into());
        let error = helm.render(&name("r"), &release, &never).await.unwrap_err();
        assert!(error.to_string().contains("refused with ***"), "{error}");
        assert!(left_over(directory.path()).is_empty());
    }
}

#[tokio::test]
async fn a_declaration_that_leaves_something_open_is_refused() {
    for program in helms() {
        let directory = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let helm = Helm::open(settings(program, directory.path()), &never)
            .await
            .unwrap();
        for (text, problem) in [
            (
                "{chart: redis-sentinel}",
                "release r: no namespace is given",
            ),
            (
                "{chart: x, namespace: y}",
                "release r: `chart` `x` is neither a path",
            ),
            (
                "{chart: 'oci://x/y', namespace: y}",
                "release r: `version` a value is needed",
            ),
        ] {
            let error = helm.render(&name("r"), &declared(text), &never).await;
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}

#[test]
fn every_chart_of_ours_is_built_in() {
    let built_in: Vec<&str> = EMBEDDED_CHARTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(built_in, kedactl_config::OWN_CHARTS);
}
