//! What is shipped beside the programs: completion scripts and manual pages, made from the grammar.
//!
//! It must not write files, and it must not describe anything by itself: a wrong word is mended in the doc comment of its argument.

use clap_complete::Shell;

/// Every shell that has a completion script, with the place of the script below an installation's prefix.
pub const COMPLETIONS: [(Shell, &str); 5] = [
    (Shell::Bash, "share/bash-completion/completions/kedactl"),
    (Shell::Zsh, "share/zsh/site-functions/_kedactl"),
    (Shell::Fish, "share/fish/vendor_completions.d/kedactl.fish"),
    (Shell::PowerShell, "share/kedactl/completions/kedactl.ps1"),
    (Shell::Elvish, "share/kedactl/completions/kedactl.elv"),
];

/// The completion script for a shell.
pub fn completion(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::grammar(), "kedactl", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Manual pages of section 1 by file name, `kedactl.1` first, one for each command that `--help` shows.
pub fn manual() -> Vec<(String, String)> {
    let mut command = crate::grammar();
    command.build();
    let mut pages = Vec::new();
    describe(&command, &mut pages);
    pages
}

fn describe(command: &clap::Command, pages: &mut Vec<(String, String)>) {
    // A command that was built is displayed with the names above it: `kedactl-images-build`.
    let name = command.get_display_name().unwrap_or("kedactl").to_owned();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone())
        .title(&name)
        .manual("kedactl")
        .source(format!("kedactl {}", env!("CARGO_PKG_VERSION")));
    man.render(&mut page).expect("a vector takes every byte");
    pages.push((
        format!("{name}.1"),
        String::from_utf8_lossy(&page).into_owned(),
    ));
    for sub in command.get_subcommands() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            describe(sub, pages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_options() {
        let pages = manual();
        let page = |name: &str| {
            let found = pages.iter().find(|(file, _)| file == name);
            &found.unwrap_or_else(|| panic!("no page {name}")).1
        };
        assert_eq!(pages[0].0, "kedactl.1");
        assert!(
            page("kedactl.1").contains("kedactl\\-up(1)"),
            "{}",
            page("kedactl.1")
        );
        let build = page("kedactl-images-build.1");
        assert!(build.contains(".TH kedactl-images-build 1"), "{build}");
        assert!(build.contains("\\-\\-keep"), "{build}");
        assert!(!pages.iter().any(|(file, _)| file.contains("help")));
    }

    #[test]
    fn every_shell_has_a_script_that_knows_the_commands() {
        for (shell, at) in COMPLETIONS {
            let script = completion(shell);
            assert!(
                script.contains("failover") && script.contains("kedactl"),
                "{shell} {at}"
            );
        }
    }
}
