//! The stack's scalers, and objects that wait for a KEDA that is gone.
//!
//! Must not take a finalizer away.

use kedactl_cluster::{AutoscalerView, KEDA_FINALIZER, LeavingView, ScalerView};

use super::Check;
use crate::Live;

const KINDS: [&str; 3] = ["ScaledObject", "ScaledJob", "TriggerAuthentication"];

pub(super) async fn checks(live: &Live) -> Vec<Check> {
    let (cluster, config) = (live.cluster(), &live.record().config);
    let leaving = KINDS
        .map(|kind| kedactl_cluster::leaving(cluster, "keda.sh/v1alpha1", kind, &config.namespace));
    let read = tokio::try_join!(
        kedactl_cluster::scalers(cluster, &config.namespace),
        kedactl_cluster::autoscalers(cluster, &config.namespace),
        futures_util::future::try_join_all(leaving),
        kedactl_cluster::workloads(cluster, &config.keda.namespace),
    );
    let (scalers, autoscalers, leaving, keda) = match read {
        Ok(read) => read,
        Err(error) => return vec![Check::unread("scalers", "scalers", &error)],
    };
    let operator = keda
        .iter()
        .any(|it| it.name.contains("operator") && it.ready > 0);
    let mut checks: Vec<Check> = scalers.iter().map(|it| scaler(it, &autoscalers)).collect();
    let alone = autoscalers.iter().filter(|it| it.made_for.is_none());
    checks.extend(alone.map(autoscaler));
    checks.push(finalizers(&leaving.concat(), operator));
    checks
}

fn scaler(it: &ScalerView, autoscalers: &[AutoscalerView]) -> Check {
    let code = format!("scaler-{}", it.name);
    let title = format!("ScaledObject {}", it.name);
    if it.paused {
        return Check::warn(
            &code,
            title,
            "paused: nothing is scaled",
            format!(
                "`kubectl -n {} annotate scaledobject {} autoscaling.keda.sh/paused- autoscaling.keda.sh/paused-replicas-` goes on",
                it.namespace, it.name
            ),
        );
    }
    if let Some(problem) = it.problems().into_iter().next() {
        return Check::fail(
            &code,
            title,
            problem,
            "correct what KEDA names; `kedactl logs keda` says more",
        );
    }
    if !it.ready {
        return Check::fail(
            &code,
            title,
            "KEDA has not looked at it yet",
            "KEDA's operator must run and watch this namespace: `kedactl logs keda`",
        );
    }
    let own = autoscalers
        .iter()
        .find(|hpa| hpa.name == it.autoscaler || hpa.made_for.as_deref() == Some(&it.name));
    let Some(own) = own else {
        return Check::fail(
            &code,
            title,
            format!("its autoscaler {} does not exist", it.autoscaler),
            "somebody removed it: restart KEDA's operator, which makes it again",
        );
    };
    if let Some((trigger, times)) = it.failing.first() {
        let fallback = if it.fallback {
            ", and the fallback counts"
        } else {
            ""
        };
        return Check::fail(
            &code,
            title,
            format!("trigger {trigger} could not be read {times} times{fallback}"),
            "`kedactl logs keda` says why: address, password, network policy",
        );
    }
    match own.problems().into_iter().next() {
        Some(problem) => Check::fail(
            &code,
            title,
            format!("{}: {problem}", own.name),
            "its readings come from KEDA's metrics server: see the checks of KEDA",
        ),
        None => Check::ok(&code, title, format!("ready, {}..{}", it.min, it.max)),
    }
}

fn autoscaler(it: &AutoscalerView) -> Check {
    let code = format!("scaler-{}", it.name);
    let title = format!("HorizontalPodAutoscaler {}", it.name);
    match it.problems().into_iter().next() {
        Some(problem) => Check::fail(
            &code,
            title,
            problem,
            "metrics-server must answer, and the target's pods must request CPU",
        ),
        None => Check::ok(&code, title, format!("active, {}..{}", it.min, it.max)),
    }
}

/// Objects whose deletion waits for KEDA.
fn finalizers(leaving: &[LeavingView], operator: bool) -> Check {
    let (code, title) = ("finalizers", "objects that cannot go away");
    let held = leaving
        .iter()
        .find(|it| it.finalizers.iter().any(|name| name == KEDA_FINALIZER));
    match held {
        None => Check::ok(code, title, "none"),
        Some(it) if operator => Check::warn(
            code,
            title,
            format!("{} waits for KEDA since {}", it.object, it.since),
            "KEDA runs and should let it go; `kedactl logs keda` says what keeps it",
        ),
        Some(it) => Check::fail(
            code,
            title,
            format!(
                "{} waits for KEDA since {}, and KEDA is gone",
                it.object, it.since
            ),
            format!(
                "bring KEDA back (`kedactl up`), or, if it will not come back, `kubectl -n {} patch {} {} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'`",
                it.object.namespace.as_deref().unwrap_or_default(),
                it.object.kind.to_lowercase(),
                it.object.name
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use kedactl_cluster::{ConditionView, ObjectRef};

    fn view() -> ScalerView {
        ScalerView {
            namespace: "keda".to_owned(),
            name: "worker".to_owned(),
            target: "Deployment worker".to_owned(),
            autoscaler: "keda-hpa-worker".to_owned(),
            min: 0,
            max: 10,
            idle: None,
            cooldown_s: 300,
            ready: true,
            active: false,
            paused: false,
            paused_at: None,
            fallback: false,
            failing: Vec::new(),
            last_active: String::new(),
            leaving: false,
            conditions: Vec::new(),
        }
    }

    fn hpa(problem: Option<&str>) -> AutoscalerView {
        let problem = problem.map(|reason| ConditionView {
            kind: "ScalingActive".to_owned(),
            status: "False".to_owned(),
            reason: reason.to_owned(),
            message: "no answer".to_owned(),
        });
        AutoscalerView {
            namespace: "keda".to_owned(),
            name: "keda-hpa-worker".to_owned(),
            target: "Deployment worker".to_owned(),
            made_for: Some("worker".to_owned()),
            min: 1,
            max: 10,
            current: 0,
            desired: 0,
            metrics: Vec::new(),
            last_scaled: String::new(),
            conditions: problem.into_iter().collect(),
        }
    }

    #[test]
    fn every_way_in_which_a_scaler_does_not_scale_is_found() {
        assert_eq!(scaler(&view(), &[hpa(None)]).status, CheckStatus::Ok);
        let detail = |it: &ScalerView, hpas: &[AutoscalerView]| scaler(it, hpas).detail;
        assert_eq!(
            detail(&view(), &[]),
            "its autoscaler keda-hpa-worker does not exist"
        );
        assert_eq!(
            detail(&view(), &[hpa(Some("FailedGetExternalMetric"))]),
            "keda-hpa-worker: ScalingActive: FailedGetExternalMetric: no answer"
        );
        let paused = ScalerView {
            paused: true,
            ..view()
        };
        assert_eq!(scaler(&paused, &[]).status, CheckStatus::Warn);
        let unseen = ScalerView {
            ready: false,
            ..view()
        };
        assert_eq!(detail(&unseen, &[]), "KEDA has not looked at it yet");
        let failing = ScalerView {
            failing: vec![("s0-redis".to_owned(), 5)],
            fallback: true,
            ..view()
        };
        assert_eq!(
            detail(&failing, &[hpa(None)]),
            "trigger s0-redis could not be read 5 times, and the fallback counts"
        );
    }

    #[test]
    fn a_finalizer_without_keda_is_told_with_the_way_out() {
        let held = LeavingView {
            object: ObjectRef::new("keda.sh/v1alpha1", "ScaledObject", Some("keda"), "worker"),
            since: "2026-01-01T00:00:00Z".to_owned(),
            finalizers: vec![KEDA_FINALIZER.to_owned()],
        };
        let it = finalizers(std::slice::from_ref(&held), false);
        assert_eq!(it.status, CheckStatus::Fail);
        assert!(
            it.cure
                .unwrap()
                .contains("kubectl -n keda patch scaledobject worker")
        );
        assert_eq!(finalizers(&[held], true).status, CheckStatus::Warn);
        assert_eq!(finalizers(&[], false).status, CheckStatus::Ok);
    }
}
