//! The `kedactl` program: it only calls the library, so that tests can run the same code.

fn main() -> std::process::ExitCode {
    kedactl::main_impl()
}
