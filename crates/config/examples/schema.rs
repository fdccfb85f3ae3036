//! Prints the JSON schema of kedactl.yaml, as it is checked in.
//! Writes no file by itself.

#[expect(clippy::print_stdout, reason = "its output is the schema")]
fn main() -> Result<(), serde_json::Error> {
    println!(
        "{}",
        serde_json::to_string_pretty(&kedactl_config::schema())?
    );
    Ok(())
}
