//! Where a profile that is there is not what was asked for: minikube itself keeps silent about most of it and goes on.
//! Must not look at what nobody asked for.

use super::{Profile, Spec};

/// The first difference, in words with the key that asked.
pub(super) fn differs(spec: &Spec, profile: &Profile) -> Option<String> {
    let told = |key: &str, has: &str, asked: &str| {
        Some(format!(
            "it has {key} {has}, and minikube.{key} asks for {asked}"
        ))
    };
    if let Some(asked) = &spec.driver
        && *asked != profile.driver
    {
        return told("driver", &profile.driver, asked);
    }
    if let Some(asked) = &spec.runtime
        && plain(asked) != plain(&profile.runtime)
    {
        return told("containerRuntime", &profile.runtime, asked);
    }
    if let Some(asked) = &spec.kubernetes
        && asked.trim_start_matches('v') != profile.kubernetes.trim_start_matches('v')
        && !matches!(asked.as_str(), "stable" | "latest")
    {
        return told("kubernetesVersion", &profile.kubernetes, asked);
    }
    let numbers = [
        ("nodes", profile.nodes.len() as u64, spec.nodes),
        ("cpus", profile.cpus, spec.cpus),
        ("memoryMib", profile.memory, spec.memory),
    ];
    numbers.into_iter().find_map(|(key, has, asked)| {
        let asked = u64::from(asked?);
        if asked == has {
            return None;
        }
        told(key, &has.to_string(), &asked.to_string())
    })
}

/// minikube knows CRI-O by two names.
fn plain(runtime: &str) -> String {
    runtime.replace('-', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_compared() {
        let profile = Profile {
            name: "demo".to_owned(),
            driver: "docker".to_owned(),
            runtime: "crio".to_owned(),
            kubernetes: "v1.34.0".to_owned(),
            cpus: 2,
            memory: 3072,
            nodes: vec!["demo".to_owned()],
        };
        let mut spec = Spec::named("demo");
        assert_eq!(differs(&spec, &profile), None);
        spec.runtime = Some("cri-o".to_owned());
        spec.kubernetes = Some("1.34.0".to_owned());
        spec.nodes = Some(1);
        assert_eq!(differs(&spec, &profile), None);
        spec.nodes = Some(2);
        assert_eq!(
            differs(&spec, &profile).unwrap(),
            "it has nodes 1, and minikube.nodes asks for 2"
        );
        spec.driver = Some("kvm2".to_owned());
        assert!(differs(&spec, &profile).unwrap().contains("driver docker"));
    }
}
