//! Redis servers and Sentinels as processes: their files, their roles, their restarts, what they say.
//! Must not fail over by itself: the Sentinels decide who is master, and a restarted server obeys them.

pub(crate) mod files;
pub(crate) mod fleet;
pub(crate) mod link;
pub(crate) mod server;
pub(crate) mod view;
