//! `kedactl tunnel`: opens one here or in the background, shows it, ends it.
//!
//! It must not decide how a connection goes: the library probes.

use super::block_on;
use crate::args::{TunnelArgs, TunnelCommand, TunnelMode, TunnelOpen};
use crate::context::Context;
use crate::error::{Code, Error, Exit};
use crate::output::{Printer, Readers, follow, view};
use kedactl_plan::Step;
use kedactl_stack::Record;
use kedactl_tunnel::{Access, Detach, Ended, Minikube, Mode, Spec, Status, Stopped, TunnelError};
use std::ffi::OsString;
use std::path::Path;

/// First word of a detached tunnel's command line.
pub(crate) const WORD: &str = "__tunnel";

pub(crate) fn tunnel(context: &Context, args: &TunnelArgs) -> Result<Exit, Error> {
    let dir = context.tunnel_dir()?;
    match args.command {
        Some(TunnelCommand::Status) => {
            let status = block_on(async { Ok(kedactl_tunnel::status(&dir).await?) })?;
            show(context, &status)?;
            Ok(Exit::Done)
        }
        Some(TunnelCommand::Stop) => stop(context, &dir),
        None if args.open.detach => detach(context, &args.open, &dir),
        None => stay(context, &args.open, &dir),
    }
}

/// Opens a tunnel that ends with this command.
fn stay(context: &Context, args: &TunnelOpen, dir: &Path) -> Result<Exit, Error> {
    let (spec, access) = (spec(context, args)?, access(context, args)?);
    let mut said: Vec<String> = Vec::new();
    let ended = kedactl_tunnel::run(dir, access, &spec, |status| {
        let lines = view::tunnel::lines(status);
        if context.json() {
            if lines == said {
                return;
            }
            // The reader of stdout may have gone; the tunnel goes on.
            drop(context.printer.data(&serde_json::json!(status).to_string()));
        } else {
            for line in lines.iter().filter(|line| !said.contains(line)) {
                context.printer.say(line);
            }
        }
        said = lines;
    })?;
    Ok(match ended {
        Ended::Asked => Exit::Done,
        Ended::Interrupted => Exit::Interrupted,
        Ended::Terminated => Exit::Terminated,
    })
}

fn detach(context: &Context, args: &TunnelOpen, dir: &Path) -> Result<Exit, Error> {
    let detach = Detach {
        dir: dir.to_owned(),
        spec: spec(context, args)?,
        access: access(context, args)?,
        helper: vec![std::env::current_exe()?.into(), WORD.into()],
        within: args.timeout,
    };
    let status = follow(context.printer, Readers::new(None)?, |sink| {
        block_on(async {
            let step = Step::start(sink, "tunnel", "the tunnel");
            let status = kedactl_tunnel::detach(&detach, &step).await;
            match &status {
                Ok(status) => step.done(format!("pid {}", status.process.pid), true),
                Err(error) => step.failed(error, error.hint()),
            }
            Ok(status?)
        })
    })?;
    show(context, &status)?;
    Ok(Exit::Done)
}

fn stop(context: &Context, dir: &Path) -> Result<Exit, Error> {
    let (what, pid) = match block_on(async { Ok(kedactl_tunnel::stop(dir).await?) })? {
        Stopped::Stopped { pid } => ("stopped", Some(pid)),
        Stopped::Repaired { pid } => ("repaired", Some(pid)),
        Stopped::Nothing => ("nothing", None),
    };
    let text = match (what, pid) {
        _ if context.json() => {
            let value = serde_json::json!({"schema": "kedactl.tunnel-stop/v1", "outcome": what, "pid": pid});
            crate::output::json(&value)?
        }
        ("stopped", Some(pid)) => format!("stopped the tunnel (pid {pid})"),
        (_, Some(pid)) => format!("repaired what the tunnel (pid {pid}) left when it died"),
        _ => "no tunnel was running".to_owned(),
    };
    context.printer.data(&text)?;
    Ok(Exit::Done)
}

/// The stack's minikube, where its tunnel is asked for.
fn minikube(context: &Context, args: &TunnelOpen) -> Result<Option<(Record, Minikube)>, Error> {
    if args.mode != TunnelMode::Minikube {
        return Ok(None);
    }
    let home = context.home(&context.stack_name())?;
    let record = Record::read(&home)?;
    let minikube = record.as_ref().map(|it| it.minikube_tunnel(&home));
    match (record, minikube.transpose()?.flatten()) {
        (Some(record), Some(minikube)) => Ok(Some((record, minikube))),
        _ => Err(TunnelError::NoProfile.into()),
    }
}

fn access(context: &Context, args: &TunnelOpen) -> Result<Access, Error> {
    if let Some((record, _)) = minikube(context, args)?.filter(|_| args.kubeconfig.is_none()) {
        return Ok(record.access());
    }
    let kubeconfig = args
        .kubeconfig
        .clone()
        .or_else(|| context.env.default_kubeconfig());
    let kubeconfig = kubeconfig.ok_or_else(|| {
        Error::new(Code::Kubeconfig, "no kubeconfig is known")
            .hint("name one with --kubeconfig FILE")
    })?;
    // The current context of a file that is everybody's is an accident of the last command; of a file made for this it is its only one.
    Ok(Access {
        kubeconfig: std::path::absolute(kubeconfig)?,
        context: args.context.clone(),
    })
}

fn spec(context: &Context, args: &TunnelOpen) -> Result<Spec, Error> {
    let services = args.services.iter().map(|text| text.parse());
    Ok(Spec {
        services: services.collect::<Result<_, TunnelError>>()?,
        label: format!("kedactl.io/stack={}", context.stack_name()),
        mode: match args.mode {
            TunnelMode::Auto => Mode::Auto,
            TunnelMode::NodePort => Mode::NodePort,
            TunnelMode::PortForward => Mode::PortForward,
            TunnelMode::Minikube => Mode::Minikube,
        },
        minikube: minikube(context, args)?.map(|(_, it)| it),
        any_port: args.any_port,
        hold: args.hold,
    })
}

fn show(context: &Context, status: &Status) -> Result<(), Error> {
    if !context.json() {
        return Ok(context.printer.data(&view::tunnel::table(status))?);
    }
    let mut value = serde_json::json!(status);
    value["schema"] = "kedactl.tunnel/v1".into();
    Ok(context.printer.data(&crate::output::json(&value)?)?)
}

/// The detached process: `kedactl __tunnel DIR`. No part of the grammar; what it has to say goes to its log.
pub(crate) fn run(args: &[OsString]) -> Option<Result<Exit, Error>> {
    let [_, word, dir] = args else {
        return None;
    };
    (word == WORD).then(|| {
        crate::output::log_of_helper();
        let ended = kedactl_tunnel::helper_main(Path::new(dir)).map_err(Error::from);
        if let Err(error) = &ended {
            Printer::plain().error(&error.report());
        }
        ended.map(|()| Exit::Done)
    })
}
