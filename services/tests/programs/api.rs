//! The API, as a program of this package's tests.

fn main() -> std::process::ExitCode {
    kedactl_services::api::main()
}
