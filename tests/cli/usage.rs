//! The command line itself: help, mistakes, streams, commands that find no stack.
//!
//! It must not test the configuration.

use crate::context;
use std::io::Read as _;

#[test]
fn help_names_every_command() {
    let outcome = context().run(&["--help"]).expect(0);
    insta::assert_snapshot!(outcome.stdout.split("Global options").next().unwrap_or_default(), @"
    Brings up a task platform that KEDA scales on queue length, and drives it

    Usage: kedactl [OPTIONS] <COMMAND>

    Commands:
      up           Bring the stack up, or bring it to its present configuration
      plan         Show what `up` would do on a cluster, and keep it in a file
      diff         Show how the cluster differs from the configuration, field by field
      down         Stop the stack and leave nothing behind
      status       Show the stack: processes, queue, replicas and why
      ci           One run of CI: up, load, a command of yours, down; with a report
      load         Submit load on a schedule, follow every task to its end and audit it
      tunnel       Bring Services of a cluster to this machine, without root
      logs         Show what the services wrote
      queue        Look into queues and act on them
      alerts       Look into what the webhook keeps for Telegram, act on it, and try the way there
      images       Build, load and push container images
      bundle       Put everything that a stack needs into one bundle, for places without a network
      charts       Fetch, list and check the charts of the releases
      redis        Act on Redis
      doctor       Check this machine and the stack, with a cure for each finding
      render       Print the manifests
      lint         Check manifests for what reviewers look for, offline
      config       Show the configuration, where each value came from, and its schema
      completions  Print a completion script for a shell
      man          Print the manual page, or write the pages of all commands
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
    assert!(outcome.stderr.is_empty());
}

#[test]
fn a_mistake_on_the_command_line_is_exit_64() {
    let context = context();
    for args in [
        &["nonsense"][..],
        &["up", "--no-such-flag"],
        &["load"],
        &["load", "--rps", "many"],
        &["up", "--timeout", "5"],
    ] {
        let outcome = context.run(args).expect(64);
        assert!(
            outcome.stdout.is_empty() && outcome.stderr.contains("error:"),
            "{args:?}: {outcome:?}"
        );
    }
}

/// Commands with commands of their own take global options on either side of those.
#[test]
fn a_global_option_may_stand_before_a_nested_command() {
    let context = context();
    let stack = ["--stack", "other"];
    for (outer, inner) in [
        ("tunnel", &["stop"][..]),
        ("tunnel", &["status"]),
        ("queue", &["ls"]),
        ("redis", &["failover"]),
        ("images", &["list"]),
        ("config", &["schema"]),
        ("charts", &["list"]),
        ("bundle", &["verify", "none.tar"]),
    ] {
        let before = context.run(&[&[outer], &stack[..], inner].concat());
        let after = context.run(&[&[outer], inner, &stack].concat());
        let said = |outcome: &kedactl_tests::Outcome| outcome.block(context.dir());
        assert_eq!(said(&before), said(&after), "{outer} {inner:?}");
        assert!(!said(&before).contains("exit: 64"), "{}", said(&before));
    }
    // Options of an opening are no global ones.
    let outcome = context.run(&["tunnel", "--detach", "--stack", "other", "stop"]);
    insta::assert_snapshot!(outcome.block(context.dir()), @"
    exit: 64
    --- stdout ---
    --- stderr ---
    error: the subcommand 'stop' cannot be used with '--detach'

    Usage: kedactl tunnel [OPTIONS]
           kedactl tunnel [GLOBAL OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_command_without_a_stack_says_how_to_get_one() {
    let context = context();
    insta::assert_snapshot!(context.run(&["status"]).block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    error[KD0206]: no stack runs in [DIR]/state/local/kedactl or [DIR]/state/clusters/kedactl
    hint: `kedactl up` starts one; `--stack NAME` and `--state-dir DIR` choose another
    ");
    for args in [
        &["logs"][..],
        &["queue", "ls"],
        &["redis", "failover"],
        &["load", "--rps", "1", "--duration", "1s"],
    ] {
        let outcome = context.run(args).expect(1);
        assert!(outcome.stderr.contains("KD0206"), "{args:?}: {outcome:?}");
    }
}

#[test]
fn down_without_a_stack_is_down() {
    let context = context();
    insta::assert_snapshot!(context.run(&["down"]).block(context.dir()), @r#"
        exit: 0
        --- stdout ---
        nothing was running
        --- stderr ---
    "#);
    insta::assert_snapshot!(context.run(&["down", "--purge", "-o", "json"]).block(context.dir()), @r#"
        exit: 0
        --- stdout ---
        {
          "changed": false,
          "purged": true,
          "schema": "kedactl.down/v1",
          "stopped": 0
        }
        --- stderr ---
    "#);
}

#[test]
fn a_stack_name_cannot_leave_its_folder() {
    let context = context();
    insta::assert_snapshot!(context.run(&["status", "--stack", "../../etc"]).block(context.dir()), @r#"
        exit: 64
        --- stdout ---
        --- stderr ---
        error[KD0101]: `../../etc` is not the name of a stack
        hint: use at most 63 of a-z, 0-9 and -
    "#);
}

#[test]
fn objectives_and_stages_are_checked_before_anything_is_sent() {
    let context = context();
    let load = |more: &[&str]| {
        context
            .run(&[&["load", "--url", "http://127.0.0.1:9"][..], more].concat())
            .expect(64)
            .stderr
    };
    insta::assert_snapshot!(load(&["--rps", "5", "--slo", "p99<50ms,p42<1s"]), @r#"
        error[KD0101]: percentile `p42` at character 10 is not kept: one of p50, p75, p90, p95, p99, p99.9, p99.99
        hint: `kedactl help COMMAND` lists what is accepted
    "#);
    insta::assert_snapshot!(load(&["--stage", "5..x/10s"]), @r#"
        error[KD0101]: rate `x` in stage `5..x/10s` is not a number of requests a second from 0 to 10,000,000
        hint: `kedactl help COMMAND` lists what is accepted
    "#);
    insta::assert_snapshot!(load(&["--rps", "0"]), @r#"
        error[KD0101]: the schedule asks for no request at all
        hint: `kedactl help COMMAND` lists what is accepted
    "#);
}

#[test]
fn a_dead_target_is_exit_8_and_never_a_pass() {
    let context = context();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}/");
    let outcome = context
        .run(&["load", "--url", &url, "--rps", "50", "--duration", "1s"])
        .expect(8);
    assert!(outcome.stderr.contains("KD0405"), "{outcome:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let context = context();
    let mut child = context.spawn(&["completions", "bash"]);
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = context().run(&["completions", shell]).expect(0);
        assert!(
            outcome.stdout.contains("kedactl") && !outcome.stdout.contains("__local"),
            "{shell}"
        );
    }
}

#[test]
fn manual_pages_go_to_stdout_or_into_the_folder_that_is_named_and_nowhere_else() {
    let context = context();
    let page = context.run(&["man"]).expect(0).stdout;
    assert!(page.contains(".TH kedactl 1"), "{page}");
    let wrote = context.run(&["man", "pages/man1"]).expect(0);
    assert_eq!(wrote.stdout, "");
    let folder = context.dir().join("project/pages/man1");
    let names: Vec<String> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|it| {
            it.expect("a page")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    for name in ["kedactl.1", "kedactl-up.1", "kedactl-queue-peek.1"] {
        assert!(
            names.iter().any(|it| it == name),
            "{name} is not in {names:?}"
        );
    }
    context.write("a-file", "");
    context.run(&["man", "a-file"]).check(1);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the shell itself is asked what it offers"
)]
fn bash_completes_a_command() {
    let context = context();
    let script = context.run(&["completions", "bash"]).expect(0).stdout;
    // Too long for an argument.
    let script = context.write("completions.bash", &script);
    let ask = "COMP_WORDS=(kedactl u); COMP_CWORD=1; _kedactl kedactl u kedactl; echo \"${COMPREPLY[@]}\"";
    let run = std::process::Command::new("bash")
        .args(["--norc", "-c", &format!(". {}; {ask}", script.display())])
        .output()
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), "up", "{run:?}");
}
