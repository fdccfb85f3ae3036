//! `kedactl-webhook`: takes Alertmanager's notifications to Telegram. It belongs to this package so that one installation brings all
//! that a stack needs.
//!
//! It must not hold logic.

fn main() -> std::process::ExitCode {
    kedactl_services::webhook::main()
}
