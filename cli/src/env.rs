//! The only reader of environment variables in the program.
//!
//! It must not decide anything: it hands over what is set.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the program takes from its environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Env {
    pub home: Option<PathBuf>,
    /// `KEDACTL_STATE_DIR`: where stacks keep their state, before `--state-dir`'s absence falls back on XDG.
    pub state_dir: Option<PathBuf>,
    pub xdg_state_home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of docker's configuration.
    pub docker_config: Option<PathBuf>,
    /// `CI` is set to something that is not empty or `false`.
    pub ci: bool,
    /// `GITHUB_ACTIONS` is `true`: the log understands groups and annotations.
    pub github_actions: bool,
    /// `GITLAB_CI` is `true`: the log understands sections.
    pub gitlab_ci: bool,
    /// `GITHUB_STEP_SUMMARY`: the file whose Markdown the page of a run shows.
    pub step_summary: Option<PathBuf>,
    /// `KUBECONFIG`: a list of files, of which the first is taken.
    pub kubeconfig: Option<PathBuf>,
    /// `USER` or `LOGNAME`: told to others who wait for a lock.
    pub user: Option<String>,
}

impl Env {
    /// Reads the process's environment once.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the module that reads variables"
    )]
    pub(crate) fn read() -> Self {
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let text = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        Self {
            home: path("HOME"),
            state_dir: path("KEDACTL_STATE_DIR"),
            xdg_state_home: path("XDG_STATE_HOME").filter(|p| p.is_absolute()),
            docker_config: path("DOCKER_CONFIG"),
            ci: text("CI").is_some_and(|v| v != "false"),
            github_actions: text("GITHUB_ACTIONS").is_some_and(|v| v == "true"),
            gitlab_ci: text("GITLAB_CI").is_some_and(|v| v == "true"),
            step_summary: path("GITHUB_STEP_SUMMARY"),
            kubeconfig: text("KUBECONFIG").and_then(|list| std::env::split_paths(&list).next()),
            user: text("USER").or_else(|| text("LOGNAME")),
        }
    }

    /// The file in which `docker login` keeps what it is given.
    pub(crate) fn docker_config(&self) -> Option<PathBuf> {
        let folder = self.docker_config.clone();
        let folder = folder.or_else(|| self.home.as_ref().map(|home| home.join(".docker")));
        folder.map(|folder| folder.join("config.json"))
    }

    /// `alice@laptop`, as far as it is known.
    pub(crate) fn who(&self) -> String {
        let host = kedactl_exec::host_name();
        let user = self.user.as_deref().unwrap_or("somebody");
        format!("{user}@{host}")
    }

    /// Folder of all stacks' state; `None` where neither HOME nor a variable names one.
    pub(crate) fn state_root(&self, flag: Option<&PathBuf>) -> Option<PathBuf> {
        flag.cloned()
            .or_else(|| self.state_dir.clone())
            .or_else(|| self.xdg_state_home.as_ref().map(|p| p.join("kedactl")))
            .or_else(|| self.home.as_ref().map(|h| h.join(".local/state/kedactl")))
    }

    /// The kubeconfig that programs of a cluster use by default.
    pub(crate) fn default_kubeconfig(&self) -> Option<PathBuf> {
        let home = || self.home.as_ref().map(|home| home.join(".kube/config"));
        self.kubeconfig.clone().or_else(home)
    }
}

/// The words of the command line.
pub(crate) fn args() -> Vec<OsString> {
    std::env::args_os().collect()
}

#[cfg(test)]
mod tests {
    use super::Env;
    use std::path::PathBuf;

    #[test]
    fn the_flag_wins_over_the_variable_over_xdg_over_home() {
        let mut env = Env {
            home: Some("/h".into()),
            ..Env::default()
        };
        assert_eq!(
            env.state_root(None),
            Some(PathBuf::from("/h/.local/state/kedactl"))
        );
        env.xdg_state_home = Some("/x".into());
        assert_eq!(env.state_root(None), Some(PathBuf::from("/x/kedactl")));
        env.state_dir = Some("/s".into());
        assert_eq!(env.state_root(None), Some(PathBuf::from("/s")));
        assert_eq!(
            env.state_root(Some(&"/f".into())),
            Some(PathBuf::from("/f"))
        );
        assert_eq!(Env::default().state_root(None), None);
    }
}
