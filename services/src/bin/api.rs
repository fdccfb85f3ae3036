//! `kedactl-api`: accepts tasks over HTTP.
//!
//! It must not hold logic.

use std::process::ExitCode;

fn main() -> ExitCode {
    kedactl_services::api::main()
}
