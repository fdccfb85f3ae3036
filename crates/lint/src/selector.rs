//! Label selectors, as Kubernetes evaluates them.
//! Says which labels fit; finds no objects.

use crate::view::At;

/// Whether labels fit a `LabelSelector`; an empty one fits all, a missing one none.
pub(crate) fn fits(selector: &At<'_>, labels: &At<'_>) -> bool {
    selector.exists()
        && plain(&selector.key("matchLabels"), labels)
        && selector
            .key("matchExpressions")
            .items()
            .iter()
            .all(|it| expression(it, labels))
}

/// Whether labels hold every pair of a plain map, such as a Service's selector.
pub(crate) fn plain(selector: &At<'_>, labels: &At<'_>) -> bool {
    let pairs = selector.entries();
    pairs
        .iter()
        .all(|(key, value)| labels.key(key).value == value.value)
}

/// Whether a `LabelSelector` says anything.
pub(crate) fn is_empty(selector: &At<'_>) -> bool {
    selector.key("matchLabels").entries().is_empty()
        && selector.key("matchExpressions").items().is_empty()
}

fn expression(it: &At<'_>, labels: &At<'_>) -> bool {
    let label = labels.key(it.key("key").text().unwrap_or_default());
    let values = it.key("values").items();
    let named = || values.iter().any(|value| value.value == label.value);
    match it.key("operator").text() {
        Some("In") => label.exists() && named(),
        Some("NotIn") => !(label.exists() && named()),
        Some("Exists") => label.exists(),
        Some("DoesNotExist") => !label.exists(),
        _ => false,
    }
}
