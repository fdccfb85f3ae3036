//! Objects in, a cluster that has them out: apply, inventory, prune, readiness with reasons.
//!
//! Law: the only crate that writes to an API server; it never reads the user's current context for a default,
//! never forces a field from another manager, and deletes only what the inventory and our label both name.
