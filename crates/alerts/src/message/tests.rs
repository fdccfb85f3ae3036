//! What a chat is shown of notifications of all kinds.

use super::*;
use crate::Notification;
use crate::html::MESSAGE;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn notification(document: &Json) -> Notification {
    Notification::read(document.to_string().as_bytes()).unwrap()
}

fn group() -> Json {
    let alert = |pod: &str, status: &str| {
        json!({
            "status": status, "labels": {"alertname": "QueueIsOld", "namespace": "keda", "severity": "page", "pod": pod},
            "annotations": {"summary": format!("{pod} waits <too> long & more"), "runbook_url": "http://run/book?a=1&b=2"},
            "startsAt": "2026-11-27T12:00:00Z",
            "endsAt": if status == "resolved" { "2026-11-27T12:12:00Z" } else { "0001-01-01T00:00:00Z" },
            "generatorURL": "http://prom/graph?g0.expr=up",
        })
    };
    json!({
        "version": "4", "groupKey": "k", "status": "firing", "receiver": "tg", "externalURL": "http://am:9093",
        "groupLabels": {"alertname": "QueueIsOld"},
        "commonLabels": {"alertname": "QueueIsOld", "namespace": "keda", "severity": "page"},
        "alerts": [alert("b", "resolved"), alert("a", "firing")],
    })
}

#[test]
fn the_built_in_template_shows_what_a_person_needs() {
    let rendered = Template::built_in().render("default", &notification(&group()));
    assert_eq!((rendered.left_out, &rendered.warning), (0, &None));
    let expected = "\
🔥 <b>QueueIsOld</b> · page
1 firing, 1 resolved
<code>namespace=keda</code>

🔥 <b>a waits &lt;too&gt; long &amp; more</b>
<code>pod=a</code>
since 2026-11-27 12:00:00 UTC · <a href=\"http://prom/graph?g0.expr=up\">graph</a> · <a href=\"http://run/book?a=1&amp;b=2\">runbook</a>

✅ <b>b waits &lt;too&gt; long &amp; more</b>
<code>pod=b</code>
lasted 12 m, until 2026-11-27 12:12:00 UTC · <a href=\"http://prom/graph?g0.expr=up\">graph</a> · <a href=\"http://run/book?a=1&amp;b=2\">runbook</a>

<a href=\"http://am:9093/#/alerts?filter=%7Balertname%3D%22QueueIsOld%22%7D\">Alertmanager</a>";
    assert_eq!(rendered.html.text(), expected);
}

#[test]
fn many_alerts_are_counted_where_they_have_no_room() {
    let mut all = group();
    let one = all["alerts"][1].clone();
    all["alerts"] = vec![one; 300].into();
    let rendered = Template::built_in().render("default", &notification(&all));
    assert!(rendered.html.length() <= MESSAGE);
    let shown = rendered.html.text().matches("since 2026").count();
    assert_eq!(shown + rendered.left_out, 300);
    let more = format!("(+{} more)</a>", rendered.left_out);
    assert!(rendered.html.text().contains(&more));
}

#[test]
fn a_template_of_the_users_is_taken_block_by_block() {
    let texts = TemplateTexts {
        head: Some("<b>{{receiver}}</b> by {{route}}".to_owned()),
        alert: Some("{{labels.pod}} {{annotations.summary}}".to_owned()),
        foot: Some(String::new()),
    };
    let template = Template::new(&texts).unwrap();
    let rendered = template.render("ops", &notification(&group()));
    assert_eq!(rendered.warning, None);
    assert_eq!(
        rendered.html.text(),
        "<b>tg</b> by ops\n\na a waits &lt;too&gt; long &amp; more\n\nb b waits &lt;too&gt; long &amp; more"
    );
}

#[test]
fn a_template_that_fails_costs_no_alert() {
    for (alert, told) in [
        ("{{labels.host}}", "alert: "),
        (
            "<br>{{name}}",
            "alert: line 1, character 1: Telegram knows no tag <br>",
        ),
        ("<b>{{name}}", "<b> is never closed"),
    ] {
        let texts = TemplateTexts {
            alert: Some(alert.to_owned()),
            ..TemplateTexts::default()
        };
        let template = Template::new(&texts).unwrap();
        let rendered = template.render("default", &notification(&group()));
        let warning = rendered.warning.unwrap();
        assert!(warning.contains(told), "{warning}");
        let built_in = Template::built_in().render("default", &notification(&group()));
        assert_eq!(rendered.html, built_in.html);
    }
    let texts = TemplateTexts {
        head: Some("{{#if".to_owned()),
        ..TemplateTexts::default()
    };
    assert_eq!(Template::new(&texts).unwrap_err().block, "head");
}

#[test]
fn an_empty_message_is_none_that_telegram_takes() {
    let texts = TemplateTexts {
        head: Some(String::new()),
        alert: Some(String::new()),
        foot: Some(String::new()),
    };
    let rendered = Template::new(&texts)
        .unwrap()
        .render("r", &notification(&group()));
    assert_eq!(rendered.html.text(), "firing");
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        ".{0,400}",
        "[<>&;/#x0-9\"]{0,30}",
        Just("😀".repeat(300))
    ]
}

fn labels() -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-z_]{1,8}|alertname|severity", texts(), 0..4)
        .prop_map(|it| json!(it))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_alerts_hold_the_message_is_one_that_telegram_takes(
        alerts in prop::collection::vec((labels(), labels(), any::<bool>(), texts()), 0..40),
        (group, common, url, marks) in (labels(), labels(), texts(), texts()), truncated in 0_u64..9,
    ) {
        let count = alerts.len();
        let alerts: Vec<Json> = alerts
            .into_iter()
            .map(|(labels, annotations, firing, url)| json!({
                "status": if firing { "firing" } else { "resolved" }, "labels": labels,
                "annotations": annotations, "generatorURL": url, "startsAt": url,
            }))
            .collect();
        let it = notification(&json!({
            "groupLabels": group, "commonLabels": common, "externalURL": url, "alerts": alerts, "truncatedAlerts": truncated,
        }));
        let rendered = Template::built_in().render_marked("default", &it, &Html::of_text(&marks));
        prop_assert_eq!(&rendered.warning, &None);
        prop_assert!(rendered.html.length() <= MESSAGE && !rendered.html.is_blank());
        prop_assert_eq!(&Html::read(&rendered.html.text()).unwrap(), &rendered.html);
        prop_assert!(rendered.left_out <= count);
        let counted = rendered.left_out == 0 || rendered.html.plain().contains(&format!("(+{} more)", rendered.left_out));
        prop_assert!(counted);
    }
}
