//! The real helm, 3 and 4: what can be asked of it without a cluster.

use kedactl_plan::{Collect, Step};
use kedactl_tools::helm::Helm;
use kedactl_tools::{CancellationToken, Mask, ReleaseName, Releases, ToolError};

use crate::support::{chart, helms, left_over, name, release, settings};

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

#[test]
fn the_built_in_releases_are_whole() {
    let all = Releases::built_in().unwrap();
    let names: Vec<&str> = all
        .order()
        .unwrap()
        .into_iter()
        .map(ReleaseName::as_str)
        .collect();
    assert_eq!(names, ["keda", "metrics-server", "redis"]);
    for (name, release) in &all.releases {
        release.source(name).unwrap();
        assert_eq!(release.detect.is_empty(), name.as_str() == "redis");
    }
}

#[test]
fn declarations_are_read_checked_and_ordered() {
    let text = "releases:\n  b: {chart: ./b, namespace: x, dependsOn: [a]}\n  a: {chart: redis-sentinel, namespace: x}\n";
    let releases = Releases::parse(text).unwrap();
    let order: Vec<&str> = releases
        .order()
        .unwrap()
        .into_iter()
        .map(ReleaseName::as_str)
        .collect();
    assert_eq!(order, ["a", "b"]);
    for (text, problem) in [
        ("releases: {a: {chart: x, namespace: y}}", "neither a path"),
        (
            "releases: {a: {chart: 'oci://x/y', namespace: y}}",
            "needs a `version`",
        ),
        (
            "releases: {a: {chart: x, repo: 'https://x', namespace: y}}",
            "needs a `version`",
        ),
    ] {
        let releases = Releases::parse(text).unwrap();
        let error = releases.releases[&name("a")]
            .source(&name("a"))
            .unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    for (text, problem) in [
        ("releases: {A: {chart: ./x, namespace: y}}", "is not a name"),
        ("releases: {a: {chart: ./x, namespce: y}}", "namespce"),
        ("releases: [", "line 1"),
    ] {
        let error = Releases::parse(text).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    for (text, problem) in [
        (
            "releases: {a: {chart: ./x, namespace: y, dependsOn: [b]}}",
            "not declared",
        ),
        (
            "releases: {a: {chart: ./x, namespace: y, dependsOn: [b]}, b: {chart: ./x, namespace: y, dependsOn: [a]}}",
            "depends on itself",
        ),
    ] {
        let error = Releases::parse(text).unwrap().order().unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}
