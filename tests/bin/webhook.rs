//! The webhook, as a binary of the test package.

fn main() -> std::process::ExitCode {
    kedactl_services::webhook::main()
}
