//! The worker, as a program of this package's tests.

fn main() -> std::process::ExitCode {
    kedactl_services::worker::main(kedactl_services::worker::WorkerBuilder::builtin)
}
