//! The API, as a binary of the test package.

fn main() -> std::process::ExitCode {
    kedactl_services::api::main()
}
