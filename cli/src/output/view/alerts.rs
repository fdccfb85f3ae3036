//! The outbox of the webhook as a table.
//!
//! It must not shorten an id: it is what the next command is given.

use crate::output::style::{bad, count, dim, warn};
use crate::output::table::Table;
use kedactl_alerts::Status;
use kedactl_outbox::{Depth, Kind, Row, State};

/// Groups that are not shown yet, and a line about all.
pub(crate) fn outbox(rows: &[Row], depth: &Depth) -> String {
    let total = |name: &str| count(depth.counts.get(name).copied().unwrap_or(0));
    let line = format!(
        "{} waiting, {} being sent, {} dead; since the outbox is there: {} accepted, {} sent, {} edited\n",
        count(depth.waiting),
        count(depth.sending),
        if depth.dead > 0 {
            bad(&count(depth.dead))
        } else {
            "0".to_owned()
        },
        total("accepted"),
        total("sent"),
        total("edited"),
    );
    if rows.is_empty() {
        return line;
    }
    let mut table = Table::new(&["group", "is", "chat", "route", "what", "tries", "why"]);
    for row in rows {
        let chat = row.thread.map_or_else(
            || row.chat.to_string(),
            |thread| format!("{}/{thread}", row.chat),
        );
        table.row([
            row.group.to_string(),
            match row.kind {
                Kind::Dead => bad("dead"),
                Kind::Sending => "sending".to_owned(),
                Kind::Waiting => warn("waiting"),
            },
            chat,
            row.route.clone(),
            row.state.as_ref().map_or_else(|| dim("nothing"), what),
            row.tries.to_string(),
            row.why.clone(),
        ]);
    }
    line + &table.text()
}

fn what(state: &State) -> String {
    let notification = match state {
        State::Notice(_) => return "a word of the webhook".to_owned(),
        State::Alerts(notification) => notification,
    };
    let name = notification
        .group_labels
        .get("alertname")
        .map_or("alerts", String::as_str);
    let firing = notification.count(Status::Firing);
    let resolved = notification.count(Status::Resolved);
    match (firing, resolved) {
        (0, _) => format!("{name}: {resolved} resolved"),
        (_, 0) => format!("{name}: {firing} firing"),
        _ => format!("{name}: {firing} firing, {resolved} resolved"),
    }
}
