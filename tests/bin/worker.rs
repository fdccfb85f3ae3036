//! The worker, as a binary of the test package.

fn main() -> std::process::ExitCode {
    kedactl_services::worker::main(kedactl_services::worker::WorkerBuilder::builtin)
}
