//! Provider `auto`: what this machine can run a stack on, which of it is taken and why, and what each other one lacks.
//! Must not start or make a cluster: it looks and asks, no longer than a user likes to wait.

use std::path::PathBuf;
use std::time::Duration;

use kedactl_config::{Config, Provider};
use kedactl_exec::{CancellationToken, Job, find, last_words};
use serde::Serialize;

use crate::place::Own;
use crate::{Check, CheckStatus, Home, Record};

/// How long an engine may take to say that it is there.
const ENGINE_WITHIN: Duration = Duration::from_secs(3);
/// How long kind or minikube may take to say whether there is a cluster.
const CLUSTER_WITHIN: Duration = Duration::from_secs(5);

/// Where a stack is going to run, and why there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The provider.
    pub provider: Provider,
    /// "kind and docker 27.1 are here".
    pub why: String,
    /// The cluster that would have to be made.
    pub makes: Option<String>,
    /// Every other provider that needs no answer of the user, and how one comes to it.
    pub others: Vec<Other>,
}

/// A provider that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The provider.
    pub provider: Provider,
    /// What it lacks here; none where `--provider` is all that it takes.
    pub lacks: Vec<String>,
}

/// A provider of clusters on this machine.
#[derive(Debug)]
struct Candidate {
    provider: Provider,
    has: Vec<String>,
    lacks: Vec<String>,
}

/// Chooses for a stack whose provider nobody named. `local` says that it ran as processes of this machine before.
pub async fn choose(home: &Home, config: &Config, record: Option<&Record>, local: bool) -> Choice {
    let recorded = |provider: Provider| Choice {
        provider,
        why: "the stack is there already".to_owned(),
        makes: None,
        others: Vec::new(),
    };
    if let Some(record) = record {
        return recorded(record.provider);
    }
    if local {
        return recorded(Provider::Local);
    }
    let candidates = candidates(config).await;
    let able = |it: &&Candidate| it.lacks.is_empty();
    let ours =
        |it: &&Candidate| Own::of(it.provider, home, config).is_some_and(|own| own.made_here(home));
    // A cluster that was made here is there for this stack; else kind's, which is there sooner than minikube's.
    let taken = candidates.iter().filter(able).find(ours);
    let taken = taken.or_else(|| candidates.iter().find(able));
    let others = candidates
        .iter()
        .filter(|it| taken.is_none_or(|taken| taken.provider != it.provider))
        .map(|it| Other {
            provider: it.provider,
            lacks: it.lacks.clone(),
        });
    let mut others: Vec<Other> = others.collect();
    let Some(taken) = taken else {
        return Choice {
            provider: Provider::Local,
            why: "processes on this machine, as no cluster can be made here".to_owned(),
            makes: None,
            others,
        };
    };
    others.push(Other {
        provider: Provider::Local,
        lacks: Vec::new(),
    });
    Choice {
        provider: taken.provider,
        why: format!("{} are here", taken.has.join(" and ")),
        makes: match Own::of(taken.provider, home, config) {
            Some(own) => makes(own, home, config).await,
            None => None,
        },
        others,
    }
}

/// One check a provider, for `doctor`: what it has here or lacks.
pub async fn providers(config: &Config) -> Vec<Check> {
    let candidates = candidates(config).await;
    candidates.iter().map(check).collect()
}

fn check(it: &Candidate) -> Check {
    let able = it.lacks.is_empty();
    Check {
        code: format!("provider-{}", it.provider.environment()),
        title: format!("provider {}", it.provider.environment()),
        // What nobody asked for is no failure.
        status: if able {
            CheckStatus::Ok
        } else {
            CheckStatus::Skip
        },
        detail: if able {
            format!("{} are here", it.has.join(" and "))
        } else {
            it.lacks.join("; ")
        },
        cure: None,
    }
}

/// The providers that make clusters, in the order in which they are taken.
async fn candidates(config: &Config) -> Vec<Candidate> {
    let engine = engine(&config.images.engine).await;
    let helm = helm(config);
    [Provider::Kind, Provider::Minikube]
        .into_iter()
        .map(|provider| candidate(provider, config, &engine, &helm))
        .collect()
}

fn candidate(
    provider: Provider,
    config: &Config,
    engine: &Result<String, String>,
    helm: &Result<(), String>,
) -> Candidate {
    let (name, named) = match provider {
        Provider::Minikube => ("minikube", config.minikube.program.as_deref()),
        _ => ("kind", config.kind.program.as_deref()),
    };
    let mut it = Candidate {
        provider,
        has: vec![name.to_owned()],
        lacks: Vec::new(),
    };
    if find(named.unwrap_or(name)).is_err() {
        let key = format!("{name}.program");
        it.lacks.push(match named {
            Some(path) => format!("{path} ({key}) is not there"),
            None => format!("{name} is not installed"),
        });
    }
    // minikube can do without a container engine where it makes machines.
    let driver = config.minikube.driver.as_deref().unwrap_or("docker");
    match engine {
        _ if provider == Provider::Minikube && driver != "docker" => {
            it.has.push(format!("driver {driver}"));
        }
        Ok(engine) => it.has.push(engine.clone()),
        Err(problem) => it.lacks.push(problem.clone()),
    }
    it.lacks.extend(helm.clone().err());
    it
}

/// Name and version of the engine, or what is wrong with it.
async fn engine(name: &str) -> Result<String, String> {
    let program: PathBuf = find(name).map_err(|_| format!("{name} is not installed"))?;
    let job = Job::new(program)
        .args(["version", "--format", "{{.Server.Version}}"])
        .within(ENGINE_WITHIN)
        .patience(Duration::ZERO);
    let late = || {
        let seconds = ENGINE_WITHIN.as_secs();
        format!("{name} does not answer within {seconds} s")
    };
    match job.run(&CancellationToken::new()).await {
        Ok(ended) if ended.code == Some(0) && !ended.stdout.trim().is_empty() => {
            Ok(format!("{name} {}", ended.stdout.trim()))
        }
        Ok(ended) => {
            let words = last_words(&ended.stderr);
            let words = words.lines().next().unwrap_or("it names no version");
            Err(format!("{name}'s engine does not answer: {words}"))
        }
        Err(_) => Err(late()),
    }
}

/// Releases are brought by helm; without it a cluster would be made for nothing.
fn helm(config: &Config) -> Result<(), String> {
    let named = config.helm.program.as_deref().unwrap_or("helm");
    if config.wanted_releases().next().is_none() || find(named).is_ok() {
        return Ok(());
    }
    Err(format!("{named} is not installed"))
}

/// The cluster that would be made; none where it is there, or where that cannot be said in time.
async fn makes(own: Own, home: &Home, config: &Config) -> Option<String> {
    let never = CancellationToken::new();
    let there = own.is_there(home, config, &never);
    match tokio::time::timeout(CLUSTER_WITHIN, there).await {
        Ok(Ok(false)) => Some(own.name().to_owned()),
        _ => None,
    }
}
