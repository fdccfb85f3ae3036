//! `config` and `render`: layers, origins, mistakes with their places.
//!
//! It must not repeat the crates' own tests of every rule: it shows that the user sees them.

use crate::context;

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
    let context = context();
    context.write(
        "kedactl.yaml",
        "name: shop\nworker:\n  concurency: 4\n  autoscaling:\n    maxReplicas: many\n",
    );
    let outcome = context.run(&["config", "show"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @r#"
        exit: 65
        --- stdout ---
        --- stderr ---
        error[KD0102]: the configuration is not valid:
          ./kedactl.yaml:3:3: worker: unknown key `concurency`, did you mean `concurrency`?
          ./kedactl.yaml:5:18: worker.autoscaling.maxReplicas: expected a whole number from 1 to 10000, found the text `many`
        hint: keys in `worker`: autoscaling, command, concurrency, egress, env, extraArgs, image, imagePullPolicy, maxUnavailable, metricsPort, podAnnotations, podLabels, preStopCommand, probes, resources, shareProcessNamespace, spread, terminationGracePeriodSeconds
    "#);
}

#[test]
fn every_value_knows_who_set_it() {
    let context = context();
    context.write("kedactl.yaml", "name: shop\nworker:\n  concurrency: 4\n");
    let file = context.write("more.yaml", "api:\n  port: 8100\n");
    let file = file.to_str().unwrap();
    let args = [
        "config",
        "show",
        "--origin",
        "-f",
        file,
        "--set",
        "worker.autoscaling.maxReplicas=7",
    ];
    let outcome = context.run(&args).expect(0);
    let lines: Vec<&str> = outcome
        .stdout
        .lines()
        .filter(|l| {
            ["name: shop", "concurrency", "port: 8100", "maxReplicas: 7"]
                .iter()
                .any(|w| l.contains(w))
        })
        .collect();
    insta::assert_snapshot!(kedactl_tests::filtered(&lines.join("\n"), context.dir()), @r#"
        name: shop                                                    # ./kedactl.yaml:1:7
          port: 8100                                                  # [DIR]/project/more.yaml:2:9
          concurrency: 4                                              # ./kedactl.yaml:3:16
            maxReplicas: 7                                            # --set worker.autoscaling.maxReplicas
    "#);
}

#[test]
fn broken_yaml_too_large_files_and_missing_files_are_exit_65() {
    let context = context();
    let broken = context.write("broken.yaml", "api: [1\n");
    let twice = context.write("twice.yaml", "name: a\nname: b\n");
    let large = context.write(
        "large.yaml",
        &format!("name: a # {}\n", "x".repeat(2 << 20)),
    );
    for file in [
        broken.as_path(),
        &twice,
        &large,
        std::path::Path::new("nowhere.yaml"),
    ] {
        let outcome = context
            .run(&["config", "show", "-f", file.to_str().unwrap()])
            .expect(65);
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            outcome.stderr.contains(name) && outcome.stderr.contains("KD0102"),
            "{outcome:?}"
        );
    }
}

#[test]
fn render_writes_what_kubernetes_and_the_local_provider_obey() {
    let context = context();
    let outcome = context.run(&["render"]).expect(0);
    for kind in [
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "ScaledObject",
        "TriggerAuthentication",
    ] {
        assert!(
            outcome.stdout.contains(&format!("kind: {kind}")),
            "{kind} is missing"
        );
    }
    assert!(
        outcome.stdout.contains("listName: kq:{default}:live")
            || outcome.stdout.contains("kq:{default}:live")
    );
    assert_eq!(
        outcome.stdout,
        context.run(&["render"]).stdout,
        "rendering twice gives the same bytes"
    );
    let dir = context.dir().join("out");
    context
        .run(&["render", "--out-dir", dir.to_str().unwrap()])
        .check(0);
    assert!(std::fs::read_dir(&dir).unwrap().count() > 1);
}

#[test]
fn a_template_that_asks_for_a_missing_value_is_refused() {
    let context = context();
    context.write("kedactl.yaml", "name: shop\n");
    context.write(
        "templates/worker.yaml.hbs",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{yaml worker.nonsense}}\n",
    );
    let outcome = context.run(&["render"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @r#"
        exit: 65
        --- stdout ---
        --- stderr ---
        error[KD0103]: template `worker.yaml.hbs` line 4: unknown name `worker.nonsense`
        hint: `kedactl config show` lists the names that a template may use
    "#);
}
