//! The metadata of KEDA's Redis triggers: names that KEDA reads, and nothing else.
//! KEDA skips names that it does not know, so that a typing error there means a default and no word about it.
//! Other types of triggers pass unread.

use std::collections::BTreeMap;

use crate::RenderError;
use crate::object::Rendered;
use crate::references::refuse;

/// Names of `redis` and `redis-sentinel` (KEDA 2.20, `redis_scaler.go`). All but the numbers and switches may end in
/// `FromEnv`.
const LIST: &[&str] = &[
    "activationListLength",
    "address",
    "addresses",
    "databaseIndex",
    "enableTLS",
    "host",
    "hosts",
    "listLength",
    "listName",
    "port",
    "ports",
    "sentinelMaster",
    "sentinelUsername",
    "unsafeSsl",
    "username",
];
/// Credentials: they would stand in the manifest for everyone to read.
const SECRETS: &[&str] = &["password", "sentinelPassword"];

/// Checks one trigger.
pub(crate) fn check(
    it: &Rendered,
    at: usize,
    kind: &str,
    metadata: &BTreeMap<String, String>,
) -> Result<(), RenderError> {
    if !matches!(kind, "redis" | "redis-sentinel") {
        return Ok(());
    }
    for key in metadata.keys() {
        let path = format!("spec.triggers[{at}].metadata.{key}");
        if SECRETS.contains(&key.as_str()) {
            let message =
                "a password does not belong into a manifest; name it in the TriggerAuthentication";
            return Err(refuse(it, &path, message));
        }
        let name = key.strip_suffix("FromEnv").unwrap_or(key);
        if !LIST.contains(&name) && !SECRETS.contains(&name) {
            let near = kedactl_config::nearest(name, LIST.iter().copied());
            let meant = near
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            let message = format!("KEDA's {kind} trigger does not know the name `{key}`{meant}");
            return Err(refuse(it, &path, &message).hint(format!("names: {}", LIST.join(", "))));
        }
    }
    if !["listName", "listNameFromEnv"]
        .iter()
        .any(|name| metadata.contains_key(*name))
    {
        return Err(refuse(
            it,
            &format!("spec.triggers[{at}].metadata.listName"),
            "is missing",
        ));
    }
    Ok(())
}
