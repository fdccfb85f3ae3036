//! `kedactl alerts` where no stack runs: previews, and what is refused.
//!
//! It must not send anything anywhere.

use crate::context;

const PAYLOAD: &str = r#"{
  "version": "4", "groupKey": "{}:{alertname=\"QueueAgeHigh\"}", "status": "firing", "receiver": "webhook-default",
  "groupLabels": {"alertname": "QueueAgeHigh"},
  "commonLabels": {"alertname": "QueueAgeHigh", "severity": "warning"}, "commonAnnotations": {},
  "externalURL": "", "truncatedAlerts": 0,
  "alerts": [{
    "status": "firing", "labels": {"alertname": "QueueAgeHigh", "queue": "a<b>", "severity": "warning"},
    "annotations": {"summary": "Tasks of a<b> wait too long"},
    "startsAt": "2026-11-27T10:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "0123456789abcdef"
  }]
}"#;

#[test]
fn a_notification_is_shown_as_a_chat_would_see_it() {
    let context = context();
    context.write("payload.json", PAYLOAD);
    let out = context.run(&["alerts", "render", "payload.json"]).expect(0);
    insta::assert_snapshot!(out.stdout, @"
    🔥 <b>QueueAgeHigh</b> · warning
    1 firing

    🔥 <b>Tasks of a&lt;b&gt; wait too long</b>
    <code>queue=a&lt;b&gt;</code>
    since 2026-11-27 10:00:00 UTC
    ");
    context.write(
        "kedactl.yaml",
        "webhook: {routes: {mine: {chats: [{id: 7}], template: {alert: '<i>{{heading}}</i>'}}}}",
    );
    let args = [
        "alerts",
        "render",
        "payload.json",
        "--route",
        "mine",
        "-o",
        "json",
    ];
    let out = context.run(&args).expect(0).json();
    let html = out["html"].as_str().unwrap();
    assert!(
        html.contains("<i>Tasks of a&lt;b&gt; wait too long</i>"),
        "{html}"
    );
    assert_eq!(out["left_out"], 0);
}

#[test]
fn what_is_no_notification_no_route_and_no_template_is_refused() {
    let context = context();
    let file = context.write("payload.json", "{\"alerts\": 1}");
    let out = context.run(&["alerts", "render", "payload.json"]);
    insta::assert_snapshot!(out.block(context.dir()), @"
    exit: 64
    --- stdout ---
    --- stderr ---
    error[KD0101]: payload.json is no notification of Alertmanager: it is no notification of version 4: it has no list `alerts`
    hint: it is the JSON that Alertmanager posts to a webhook: an object with `groupKey`, `status` and `alerts`
    ");
    std::fs::write(file, PAYLOAD).unwrap();
    context.write(
        "kedactl.yaml",
        "webhook: {routes: {mine: {chats: [{id: 7}]}}}",
    );
    let out = context.run(&["alerts", "render", "payload.json", "--route", "yours"]);
    insta::assert_snapshot!(out.block(context.dir()), @"
    exit: 64
    --- stdout ---
    --- stderr ---
    error[KD0101]: the webhook has no route `yours`
    hint: routes in webhook.routes: mine
    ");
    context.write(
        "kedactl.yaml",
        "webhook: {routes: {mine: {chats: [{id: 0}], template: {head: '{{#if'}}}}",
    );
    let out = context.run(&["alerts", "render", "payload.json"]);
    insta::assert_snapshot!(out.block(context.dir()), @r#"
    exit: 65
    --- stdout ---
    --- stderr ---
    error[KD0102]: the configuration is not valid:
      ./kedactl.yaml:1:34: webhook.routes.mine.chats: 0 is no chat: a bot is told the number of one with each message
      ./kedactl.yaml:1:62: webhook.routes.mine.template.head: is no template: Template error: invalid handlebars syntax: expected identifier, helper_parameter, block_param, or trailing_tilde_to_omit_whitespace --> Template error in "head":1:6 | 0 | {{#if |----- | = reason: invalid handlebars syntax: expected identifier, helper_parameter, block_param, or trailing_tilde_to_omit_whitespace
    hint: `kedactl config schema` lists every key, `kedactl config show --origin` says where each value comes from
    "#);
    let out = context.run(&["alerts", "drop", "zzz"]);
    insta::assert_snapshot!(out.block(context.dir()), @"
    exit: 64
    --- stdout ---
    --- stderr ---
    error[KD0101]: `zzz` is not the id of a group
    hint: `kedactl alerts ls` shows them
    ");
}

#[test]
fn up_says_what_to_install_for_the_monitoring() {
    let context = context();
    let args = [
        "up",
        "--provider",
        "local",
        "--with",
        "monitoring",
        "--set",
        "local.programs.alertmanager=no-such-alertmanager",
    ];
    let out = context.run(&[&args[..], &["--set", "local.programs.prometheus=sh"]].concat());
    insta::assert_snapshot!(out.block(context.dir()), @"
    exit: 1
    --- stdout ---
    --- stderr ---
    stack kedactl on provider local
      !! programs, manifests and ports: the monitoring needs the program no-such-alertmanager, which was not found
    error[KD0202]: the monitoring needs the program no-such-alertmanager, which was not found
    hint: install it: `apt-get install prometheus-alertmanager`, or set local.programs.alertmanager; `monitoring.profile: none` does without
    ");
    let route = "webhook.routes={default: {chats: [{id: 7}]}}";
    let args = [
        "up",
        "--provider",
        "local",
        "--set",
        route,
        "--set",
        "local.programs.webhook=sh",
    ];
    let out = context.run(
        &[
            &args[..],
            &[
                "--set",
                "local.programs.api=sh",
                "--set",
                "local.programs.worker=sh",
            ],
        ]
        .concat(),
    );
    insta::assert_snapshot!(out.block(context.dir()), @"
    exit: 65
    --- stdout ---
    --- stderr ---
    stack kedactl on provider local
      !! programs, manifests and ports: the webhook has routes, and no token of a bot: webhook.botTokenFile is not set
    error[KD0102]: the webhook has routes, and no token of a bot: webhook.botTokenFile is not set
    hint: put the token that @BotFather gave into a file that only you can read, and set webhook.botTokenFile to its path
    ");
}
