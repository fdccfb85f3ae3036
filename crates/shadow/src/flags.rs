//! The HPA controller's command line as the algorithm needs it.
//!
//! Must not guess: a flag that is not there has Kubernetes' default, one that cannot be read, too, and is told.

use kedactl_autoscale::hpa::HpaOptions;

const PREFIX: &str = "--horizontal-pod-autoscaler-";

/// Reads the flags of a `kube-controller-manager`. Durations are cut to whole seconds, and never below one.
pub fn options_of(words: &[String]) -> HpaOptions {
    let mut options = HpaOptions::default();
    for word in words {
        if let Some(gates) = word.strip_prefix("--feature-gates=") {
            for gate in gates.split(',') {
                match gate.split_once('=') {
                    Some(("HPAScaleToZero", value)) => options.scale_to_zero = value == "true",
                    Some(("HPAConfigurableTolerance", value)) => {
                        options.configurable_tolerance = value == "true";
                    }
                    _ => {}
                }
            }
        }
        let Some((flag, value)) = word
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('='))
        else {
            continue;
        };
        let field = match flag {
            "sync-period" => &mut options.sync_period,
            "downscale-stabilization" => &mut options.downscale_stabilization,
            "cpu-initialization-period" => &mut options.cpu_initialization_period,
            "initial-readiness-delay" => &mut options.initial_readiness_delay,
            "tolerance" => {
                if let Ok(tolerance) = value.parse() {
                    options.tolerance = tolerance;
                } else {
                    tracing::warn!(%word, "the flag cannot be read");
                }
                continue;
            }
            _ => continue,
        };
        if let Some(seconds) = seconds(value) {
            *field = seconds;
        } else {
            tracing::warn!(%word, "the flag cannot be read");
        }
    }
    options.sync_period = options.sync_period.max(1);
    options
}

/// Go's duration to whole seconds.
fn seconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = &rest[end..];
        let length = unit
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(unit.len());
        total += number
            * match &unit[..length] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                _ => return None,
            };
        rest = &unit[length..];
    }
    Some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_changes_what_it_names() {
        let words = [
            "kube-controller-manager",
            "--leader-elect=false",
            "--horizontal-pod-autoscaler-sync-period=1s",
            "--horizontal-pod-autoscaler-downscale-stabilization=1m30s",
            "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
            "--horizontal-pod-autoscaler-initial-readiness-delay=0s",
            "--horizontal-pod-autoscaler-tolerance=0.05",
            "--feature-gates=A=true,HPAScaleToZero=true",
        ];
        let options = options_of(&words.map(str::to_owned));
        assert_eq!(
            options,
            HpaOptions {
                sync_period: 1,
                tolerance: 0.05,
                downscale_stabilization: 90,
                cpu_initialization_period: 10,
                initial_readiness_delay: 0,
                scale_to_zero: true,
                configurable_tolerance: false,
            }
        );
        assert_eq!(options_of(&[]), HpaOptions::default());
        let odd = ["--horizontal-pod-autoscaler-sync-period=soon".to_owned()];
        assert_eq!(options_of(&odd), HpaOptions::default());
    }
}
