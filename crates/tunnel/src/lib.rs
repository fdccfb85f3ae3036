//! Traffic from this machine into Services of a cluster, without root and without routes.
//!
//! Law: an address is published only while a probe through it passes, and taken back on every exit;
//! nothing here changes a workload.
