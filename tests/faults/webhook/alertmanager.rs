//! The webhook is away for 25 s while alerts of a real Alertmanager fire and resolve: what that delivers is shown.
//!
//! It must not expect what Alertmanager itself does not deliver: an alert that fires and ends in that time is nobody's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kedactl_testkit::{Alertmanager, RedisOptions, RedisServer, Telegram};
use tokio::time::Instant;

use super::rig::{BOT, Rig, TOKEN, chat, route};
use crate::prober::pause;
use crate::scenario::Verdict;
use crate::stack::{Audit, until};

const AWAY: Duration = Duration::from_secs(25);
const WITHIN: Duration = Duration::from_mins(2);

pub(crate) fn run(name: &'static str, count: u32, _seed: u64) -> anyhow::Result<Verdict> {
    let redis = RedisServer::start(&RedisOptions::default());
    let address = format!("--redis-addr=127.0.0.1:{}", redis.port());
    let mut rig = Rig::start(Telegram::start(BOT), &[address])?;
    let alertmanager = Alertmanager::start(&format!(
        "route: {{receiver: webhook, group_by: [alertname], group_wait: 1s, group_interval: 5s, repeat_interval: 1h}}\n\
         receivers:\n- name: webhook\n  webhook_configs:\n  - url: http://127.0.0.1:{}/v1/alerts/{}\n    send_resolved: true\n    \
         http_config: {{authorization: {{type: Bearer, credentials: {TOKEN}}}}}\n",
        rig.port,
        route(0)
    ));
    let (mut gaps, mut lost, mut unknown) = (Vec::new(), 0, 0);
    for round in 0..count {
        let (gap, missing, never) = away(&mut rig, &alertmanager, round)?;
        gaps.push(gap);
        lost += missing;
        unknown += never;
    }
    let counter = |name: &str| {
        alertmanager.metric(&format!(
            "alertmanager_notification_requests_{name}total{{integration=\"webhook\"}}"
        ))
    };
    let delivered = counter("") - counter("failed_");
    println!(
        "  requests that Alertmanager got a 2xx for: {delivered}; alerts that it never told of: {unknown}"
    );
    gaps.sort();
    let messages = rig.telegram.messages(chat(0)).len() as u64;
    let audit = Audit {
        acknowledged: delivered,
        lost,
        // Three alerts of a round have a message each, and so has the fourth where Alertmanager told of it.
        duplicated: messages - (4 * u64::from(count) - unknown),
    };
    // One chat: one call at most is under way when it is killed.
    let ok = lost == 0 && delivered >= 5 * u64::from(count) && audit.duplicated <= u64::from(count);
    Ok(Verdict::of(name, count as usize, audit, gaps, ok))
}

/// One absence: how long after its end the first message came, what was lost, and what Alertmanager never told of.
fn away(
    rig: &mut Rig,
    alertmanager: &Alertmanager,
    round: u32,
) -> anyhow::Result<(Duration, u64, u64)> {
    let name = |kind: &str| format!("{kind}{round}-");
    let fire = |kind: &str, since: u64| {
        alertmanager.alert(&[("alertname", &name(kind))], &rfc3339(since), "");
    };
    let end = |kind: &str, since: u64| {
        alertmanager.alert(
            &[("alertname", &name(kind))],
            &rfc3339(since),
            &rfc3339(now()),
        );
    };
    let shown = |rig: &Rig, kind: &str, words: &str| {
        let mark = format!("<b>{}</b>", name(kind));
        let messages = rig.telegram.messages(chat(0));
        messages
            .iter()
            .any(|it| it.text.contains(&mark) && it.text.contains(words))
    };
    let before = now();
    fire("before", before);
    fire("stays", before);
    until("both are shown", WITHIN, || {
        Ok(shown(rig, "before", "1 firing") && shown(rig, "stays", "1 firing"))
    })?;
    rig.kill();
    let gone = Instant::now();
    let meanwhile = now();
    fire("meanwhile", meanwhile);
    fire("short", meanwhile);
    pause(AWAY / 2);
    end("before", before);
    end("short", meanwhile);
    pause(AWAY.saturating_sub(gone.elapsed()));
    rig.up()?;
    let back = Instant::now();
    let mut first = None;
    let told = until("what changed meanwhile", WITHIN, || {
        let began = shown(rig, "meanwhile", "1 firing");
        if began || shown(rig, "before", "1 resolved") {
            first.get_or_insert_with(|| back.elapsed());
        }
        Ok(began && shown(rig, "before", "1 resolved"))
    });
    end("meanwhile", meanwhile);
    end("stays", before);
    let ended = until("the ends of the others", WITHIN, || {
        Ok(shown(rig, "meanwhile", "1 resolved") && shown(rig, "stays", "1 resolved"))
    });
    let lost = u64::from(told.is_err()) + u64::from(ended.is_err());
    let never = u64::from(!shown(rig, "short", ""));
    Ok((first.unwrap_or(WITHIN), lost, never))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// A second since 1970 as Alertmanager reads it.
fn rfc3339(second: u64) -> String {
    jiff::Timestamp::from_second(second as i64)
        .unwrap_or_default()
        .to_string()
}
