//! `RequestScale`: from "active" and "failed" to a step, or to the clock that forbids it.
//!
//! Must not look at metrics.

use super::{KedaReason, Scale};
use crate::api::{Pause, ScaledObjectSpec};
use crate::time::Timestamp;

/// What the executor sees.
pub(crate) struct Request<'a> {
    pub(crate) now: Timestamp,
    pub(crate) created: Timestamp,
    pub(crate) spec: &'a ScaledObjectSpec,
    pub(crate) pause: Pause,
    pub(crate) current: i32,
    pub(crate) active: bool,
    pub(crate) failed: bool,
    pub(crate) last_active: Option<Timestamp>,
}

/// What it wants.
pub(crate) struct Step {
    pub(crate) action: Option<Scale>,
    pub(crate) reason: KedaReason,
    /// Whether this poll counts as activity.
    pub(crate) touch: bool,
}

impl Step {
    fn hold(reason: KedaReason) -> Self {
        Self {
            action: None,
            reason,
            touch: false,
        }
    }

    fn scale(to: i32, reason: KedaReason) -> Self {
        Self {
            action: Some(Scale { to }),
            reason,
            touch: false,
        }
    }
}

impl Request<'_> {
    pub(crate) fn decide(&self) -> Step {
        if self.pause.full {
            return self.paused();
        }
        if self.active || self.pause.force_activation {
            return self.when_active();
        }
        if self.failed {
            match self.spec.fallback {
                Some(fallback) if fallback.replicas != 0 => {
                    return Step::hold(KedaReason::HeldByFallback);
                }
                None => return Step::hold(KedaReason::HeldByError),
                Some(_) => {}
            }
        }
        self.when_inactive()
    }

    fn paused(&self) -> Step {
        match self.pause.replicas {
            Some(to) if to != self.current => Step::scale(to, KedaReason::PausedAt),
            _ => Step::hold(KedaReason::Paused),
        }
    }

    fn when_active(&self) -> Step {
        let min = self.spec.min_replicas();
        let idle = self.spec.idle_replica_count.is_some();
        if (idle && self.current < min) || self.current == 0 {
            if self.pause.scale_out {
                return Step::hold(KedaReason::HeldByPausedScaleOut);
            }
            let step = Step::scale(if min > 0 { min } else { 1 }, KedaReason::Activated);
            return Step {
                touch: true,
                ..step
            };
        }
        if self.failed {
            return Step::hold(KedaReason::ActiveWithError);
        }
        Step {
            action: None,
            reason: KedaReason::Active,
            touch: true,
        }
    }

    fn when_inactive(&self) -> Step {
        let min = self.spec.min_replicas();
        let idle = self.spec.idle_replica_count;
        let above_idle = idle.is_some_and(|idle| self.current > idle);
        if above_idle || (self.current > 0 && min == 0) {
            if self.pause.scale_in {
                return Step::hold(KedaReason::HeldByPausedScaleIn);
            }
            return match self.clock() {
                Some(reason) => Step::hold(reason),
                None => Step::scale(idle.unwrap_or(min), KedaReason::Deactivated),
            };
        }
        if idle.is_none() && self.current < min {
            return Step::scale(min, KedaReason::RaisedToMinimum);
        }
        Step::hold(KedaReason::Inactive)
    }

    /// Returns the clock that still forbids a scale-in. Both tests are strict.
    fn clock(&self) -> Option<KedaReason> {
        if let Some(last) = self.last_active {
            let until = last.plus_secs(i64::from(self.spec.cooldown_period()));
            return (until >= self.now).then_some(KedaReason::HeldByCooldown { until });
        }
        let until = self
            .created
            .plus_secs(i64::from(self.spec.initial_cooldown_period()));
        (until >= self.now).then_some(KedaReason::HeldByInitialCooldown { until })
    }
}
