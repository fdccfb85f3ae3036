//! Waits until new definitions are served.
//! Must not go on before: the first object of a new kind would be refused.

use std::time::Duration;

use kedactl_plan::Step;
use tokio::time::{Instant, sleep};

use super::report::Applied;
use crate::connect::Cluster;
use crate::error::Error;
use crate::object::{condition, condition_is, text};

const WITHIN: Duration = Duration::from_mins(1);

/// Waits for every definition that was just created or changed.
pub(crate) async fn wait_established(
    cluster: &Cluster,
    applied: &[Applied],
    step: &Step<'_>,
) -> Result<(), Error> {
    let deadline = Instant::now() + WITHIN;
    for definition in applied.iter().filter(|it| it.changed()) {
        let object = &definition.object;
        step.waiting(format!("{object} to be established"));
        loop {
            let live = cluster.get(object).await?;
            let live = live.unwrap_or_default();
            if condition_is(&live, "Established", "True") {
                break;
            }
            let refused = condition_is(&live, "NamesAccepted", "False");
            if refused || Instant::now() >= deadline {
                let names = condition(&live, "NamesAccepted");
                let said = names.map_or("it is not established", |it| text(it, "/message"));
                return Err(Error::Malformed {
                    what: object.to_string(),
                    problem: said.to_owned(),
                });
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}
