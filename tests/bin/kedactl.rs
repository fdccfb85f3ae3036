//! The program `kedactl`, as a binary of the test package.

fn main() -> std::process::ExitCode {
    kedactl::main_impl()
}
