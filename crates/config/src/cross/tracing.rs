//! What contradicts itself about traces.
//! Points at the value that a user would change.

use super::Cross;
use crate::model::Tracing;

impl Cross<'_> {
    pub(super) fn tracing(&mut self, tracing: &Tracing) {
        if let Some(ratio) = &tracing.ratio
            && !ratio
                .parse::<f64>()
                .is_ok_and(|it| (0.0..=1.0).contains(&it))
        {
            let message = format!("`{}` is not a number from 0 to 1", &**ratio);
            self.add(&["tracing", "ratio"], message);
        }
        if tracing
            .endpoint
            .as_deref()
            .is_some_and(|it| it.contains('@'))
        {
            let message =
                "a password does not belong into an address: name a Secret in headersSecret";
            self.add(&["tracing", "endpoint"], message.into());
        }
        let others = [
            ("ratio", tracing.ratio.is_some()),
            ("namespace", tracing.namespace.is_some()),
            ("egress", !tracing.egress.is_empty()),
            ("headersSecret", tracing.headers_secret.is_some()),
        ];
        for (name, _) in others
            .iter()
            .filter(|(_, given)| *given && tracing.endpoint.is_none())
        {
            let message = "has no effect without `tracing.endpoint`";
            self.add(&["tracing", name], message.into());
        }
    }
}
