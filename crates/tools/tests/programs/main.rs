//! Helm, kind and our own chart as programs: the real ones where they are, scripted ones for what they do when they fail.
//! Must not need a cluster.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod chart;
mod fake;
mod helm;
mod helm_faults;
mod helm_words;
mod kind;
mod minikube;
mod minikube_contract;
mod monitoring;
mod monitoring_profiles;
mod network;
mod profiles;
mod pull;
mod scripts;
mod stack;
mod support;
