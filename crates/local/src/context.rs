//! What all tasks of one supervisor share.
//! Must not change while the supervisor lives, but for the board's contents.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use kedactl_config::Config;
use kedactl_exec::Spawn;

use crate::board::Board;
use crate::identity::{Identity, MARK_NAME, MARK_STACK};
use crate::layout::Layout;
use crate::monitoring;
use crate::ports::Claims;
use crate::programs::Programs;

/// Shared, unchanging facts of one supervisor.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) layout: Layout,
    pub(crate) identity: Identity,
    /// Held as long as the supervisor lives.
    #[expect(dead_code, reason = "a claim ends with its value")]
    pub(crate) claims: Claims,
    /// The configuration at the supervisor's start; workloads follow later ones, Redis does not.
    pub(crate) config: Config,
    pub(crate) programs: Programs,
    pub(crate) helper: Vec<OsString>,
    pub(crate) redis_password: String,
    pub(crate) sentinel_password: String,
    /// What the webhook asks Alertmanager for; empty where there is no webhook.
    pub(crate) webhook_token: String,
    pub(crate) board: Arc<Board>,
}

impl Context {
    /// The marks that every process of the stack carries.
    pub(crate) fn marks(&self, name: &str) -> BTreeMap<String, OsString> {
        marks(&self.identity.stack_id, name)
    }

    /// A text of a cluster with the addresses and paths of this machine in it.
    pub(crate) fn here(&self, text: &str) -> String {
        let swaps = monitoring::files::swaps(self);
        swaps
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// A process of the stack, with its marks and its log file.
    pub(crate) fn process(&self, name: &str, program: PathBuf, args: Vec<OsString>) -> Spawn {
        Spawn {
            program,
            args,
            env: self.marks(name),
            cwd: self.layout.dir().to_owned(),
            log: self.layout.log(name),
            own_group: true,
        }
    }
}

/// The marks of one process of a stack.
pub(crate) fn marks(stack_id: &str, name: &str) -> BTreeMap<String, OsString> {
    BTreeMap::from([
        (MARK_STACK.to_owned(), stack_id.into()),
        (MARK_NAME.to_owned(), name.into()),
    ])
}

/// A hidden helper of this program: `role` and the state directory are appended to the prefix.
pub(crate) fn helper(
    prefix: &[OsString],
    role: &str,
    layout: &Layout,
    stack_id: &str,
) -> Option<Spawn> {
    let (program, args) = prefix.split_first()?;
    let mut args = args.to_vec();
    args.push(role.into());
    args.push(layout.dir().into());
    let name = if role == "supervise" {
        "supervisor"
    } else {
        role
    };
    Some(Spawn {
        program: program.into(),
        args,
        env: marks(stack_id, name),
        cwd: layout.dir().to_owned(),
        log: layout.log(name),
        // The supervisor makes a session of its own, which a group leader may not.
        own_group: role != "supervise",
    })
}
