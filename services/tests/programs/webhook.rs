//! The webhook, as a program of this package's tests.

fn main() -> std::process::ExitCode {
    kedactl_services::webhook::main()
}
