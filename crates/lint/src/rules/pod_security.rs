//! The Pod Security Standard `restricted` as `k8s.io/pod-security-admission` v0.34 decides it, check by check, with the
//! checks of `baseline` that it does not replace. Every container counts, init and ephemeral ones too.

use crate::finding::Findings;
use crate::pod::{Container, Pod};
use crate::rule::rules;
use crate::set::Set;
use crate::view::At;

rules! {
    PRIVILEGED "KL0101" Error "a container is privileged",
        why "A privileged container is root on the node: it sees every device, every other container and the kubelet's credentials.",
        cure "remove `privileged: true`; give the one capability that is needed, if it is",
        peers "Pod Security: privileged, kube-linter privileged-container, kube-score container-security-context-privileged, polaris runAsPrivileged, CKV_K8S_16";
    HOST_NAMESPACES "KL0102" Error "a pod shares a namespace of the node",
        why "With the node's network, processes or IPC a pod can listen to its neighbours, signal them, and pass every network policy.",
        cure "remove `hostNetwork`, `hostPID` and `hostIPC`",
        peers "Pod Security: hostNamespaces, kube-linter host-network host-pid host-ipc, polaris hostNetworkSet hostPIDSet hostIPCSet, CKV_K8S_17, CKV_K8S_18, CKV_K8S_19";
    VOLUMES "KL0103" Error "a volume is of a type that `restricted` refuses",
        why "`hostPath` gives files of the node away, and the old in-tree storage types bypass the claims that control who may use which disk.",
        cure "use configMap, secret, emptyDir, projected, downwardAPI, csi, ephemeral, image or persistentVolumeClaim",
        peers "Pod Security: hostPathVolumes restrictedVolumes, kube-linter sensitive-host-mounts, polaris hostPathSet";
    HOST_PORTS "KL0104" Error "a container takes a port of the node",
        why "A host port is reachable past Services and network policies, and only one such pod fits a node.",
        cure "remove `hostPort`, and reach the pod through a Service",
        peers "Pod Security: hostPorts, polaris hostPortSet, CKV_K8S_26";
    HOST_PROBES "KL0105" Error "a probe or lifecycle hook names a host",
        why "The kubelet then calls an address of the author's choice from inside the node's network, every few seconds.",
        cure "remove `host`; the kubelet calls the pod itself",
        peers "Pod Security: hostProbesAndHostLifecycle";
    APPARMOR "KL0106" Error "AppArmor is switched off",
        why "The runtime's profile keeps a container from writing to /proc and mounting; `Unconfined` takes that away.",
        cure "remove the profile, or set it to `RuntimeDefault` or `Localhost`",
        peers "Pod Security: appArmorProfile";
    SELINUX "KL0107" Error "SELinux options leave the container types",
        why "Another user, role or type lets the container use files of other containers or of the node.",
        cure "remove `seLinuxOptions.user` and `role`; as `type` only container_t, container_init_t, container_kvm_t, container_engine_t",
        peers "Pod Security: seLinuxOptions";
    PROC_MOUNT "KL0108" Error "/proc is not masked",
        why "An unmasked /proc shows the kernel's keys and timers and lets a container write kernel settings.",
        cure "remove `procMount`",
        peers "Pod Security: procMount";
    SYSCTLS "KL0109" Error "a kernel setting is not among the safe ones",
        why "Most sysctls hold for the whole node, so that one pod can disturb all others.",
        cure "remove the sysctl, or set it on the node",
        peers "Pod Security: sysctls, kube-linter unsafe-sysctls";
    HOST_PROCESS "KL0110" Error "a Windows container runs as a process of the host",
        why "A HostProcess container has the rights of the node's administrator.",
        cure "remove `windowsOptions.hostProcess`",
        peers "Pod Security: windowsHostProcess";
    ESCALATION "KL0111" Error "a container may gain privileges",
        why "Without `allowPrivilegeEscalation: false` a set-uid program in the image makes its caller root.",
        cure "set `allowPrivilegeEscalation: false` in the container's securityContext",
        peers "Pod Security: allowPrivilegeEscalation, kube-linter privilege-escalation-container, polaris privilegeEscalationAllowed, CKV_K8S_20";
    CAPABILITIES "KL0112" Error "a container keeps or adds capabilities",
        why "The runtime's default set lets a process forge packets (NET_RAW), change owners and pass file permissions.",
        cure "set `capabilities: {drop: [ALL]}` in the container's securityContext; add nothing but NET_BIND_SERVICE",
        peers "Pod Security: capabilities_baseline capabilities_restricted, kube-linter drop-net-raw-capability, polaris insecureCapabilities dangerousCapabilities, CKV_K8S_25, CKV_K8S_28, CKV_K8S_37, CKV_K8S_39";
    NON_ROOT "KL0113" Error "a container may run as root",
        why "Root in a container is root for every file that it mounts, and one kernel flaw away from root on the node.",
        cure "set `runAsNonRoot: true` in the pod's securityContext",
        peers "Pod Security: runAsNonRoot, kube-linter run-as-non-root, polaris runAsRootAllowed, CKV_K8S_23";
    USER_ZERO "KL0114" Error "a container asks for user 0",
        why "User 0 is root; with `runAsNonRoot` the pod then never starts, without it runs as root.",
        cure "set `runAsUser` to a number that is not 0, best above 10000",
        peers "Pod Security: runAsUser, polaris runAsRootAllowed";
    SECCOMP "KL0115" Error "system calls are not filtered",
        why "Without a seccomp profile a container may use every system call of the kernel, among them those that exploits need.",
        cure "set `seccompProfile: {type: RuntimeDefault}` in the pod's securityContext",
        peers "Pod Security: seccompProfile_baseline seccompProfile_restricted, kube-score container-seccomp-profile, polaris linuxHardening, CKV_K8S_31";
    NAMESPACE_OPEN "KL0116" Warning "a namespace enforces no Pod Security Standard",
        why "What a manifest promises, nobody checks: the next pod in the namespace may be privileged.",
        cure "label it `pod-security.kubernetes.io/enforce: restricted`",
        peers "NSA/CISA: Pod Security enforcement, CIS 5.2";
    NAMESPACE_LOOSE "KL0117" Note "a namespace enforces less than `restricted`, or no fixed version of it",
        why "`baseline` and `privileged` let pods run as root; without a version, an upgrade of the cluster changes what is refused.",
        cure "set `enforce: restricted` and `enforce-version: v1.N`",
        peers "";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        self::pod(pod, out);
        for container in pod.containers() {
            self::container(pod, container, out);
        }
    }
    for (at, object) in set.of_kind("", "Namespace") {
        namespace(at, &object.root(), out);
    }
}

fn pod(pod: &Pod<'_>, out: &mut Findings<'_>) {
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        let at = pod.spec.key(key);
        if at.flag() == Some(true) {
            out.add(HOST_NAMESPACES, pod.at, &at, format!("`{key}` is true"));
        }
    }
    for volume in pod.spec.key("volumes").items() {
        self::volume(pod, &volume, out);
    }
    for sysctl in pod.security("sysctls").items() {
        let name = sysctl.key("name").text().unwrap_or_default();
        if !SAFE_SYSCTLS.contains(&name) {
            out.add(SYSCTLS, pod.at, &sysctl, format!("`{name}` is not safe"));
        }
    }
    for (key, profile) in pod.metadata.key("annotations").entries() {
        let name = key.strip_prefix("container.apparmor.security.beta.kubernetes.io/");
        let value = profile.text().unwrap_or_default();
        let fine =
            value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        if let (Some(name), false) = (name, fine) {
            out.add(
                APPARMOR,
                pod.at,
                &profile,
                format!("`{value}` for container `{name}`"),
            );
        }
    }
    settings(pod, &pod.spec.key("securityContext"), "the pod", out);
    if pod.security("runAsNonRoot").flag() == Some(false) {
        out.add(
            NON_ROOT,
            pod.at,
            &pod.security("runAsNonRoot"),
            "the pod sets it to false",
        );
    }
    let seccomp = pod.security("seccompProfile.type");
    if pod.security("seccompProfile").exists() && !filtered(&seccomp) {
        out.add(
            SECCOMP,
            pod.at,
            &seccomp,
            format!("the pod sets `{}`", seccomp.shown()),
        );
    }
}

/// What a pod and a container may both set.
fn settings(pod: &Pod<'_>, context: &At<'_>, who: &str, out: &mut Findings<'_>) {
    let profile = context.dig("appArmorProfile.type");
    let type_ = profile.text().unwrap_or_default();
    if context.key("appArmorProfile").exists() && !matches!(type_, "RuntimeDefault" | "Localhost") {
        out.add(APPARMOR, pod.at, &profile, format!("{who} sets `{type_}`"));
    }
    let linux = context.key("seLinuxOptions");
    for key in ["user", "role"] {
        let at = linux.key(key);
        if at.text().is_some_and(|text| !text.is_empty()) {
            out.add(SELINUX, pod.at, &at, format!("{who} sets the {key}"));
        }
    }
    let type_ = linux.key("type");
    let known = [
        "",
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
    ];
    if !known.contains(&type_.text().unwrap_or_default()) {
        out.add(
            SELINUX,
            pod.at,
            &type_,
            format!("{who} sets the type `{}`", type_.shown()),
        );
    }
    let process = context.dig("windowsOptions.hostProcess");
    if process.flag() == Some(true) {
        out.add(HOST_PROCESS, pod.at, &process, format!("{who} sets it"));
    }
    let user = context.key("runAsUser");
    if user.whole() == Some(0) {
        out.add(USER_ZERO, pod.at, &user, format!("{who} runs as 0"));
    }
}

fn container(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    let who = format!("container `{}`", container.name());
    let mut broken = |rule, at: At<'_>, message: String| out.add(rule, pod.at, &at, message);
    let privileged = container.security("privileged");
    if privileged.flag() == Some(true) {
        broken(PRIVILEGED, privileged, format!("{who} is privileged"));
    }
    for port in container.spec.key("ports").items() {
        let port = port.key("hostPort");
        if port.whole().is_some_and(|port| port != 0) {
            broken(
                HOST_PORTS,
                port.clone(),
                format!("{who} takes port {} of the node", port.shown()),
            );
        }
    }
    for hook in HOOKS {
        let host = container.spec.dig(hook).key("host");
        if host.text().is_some_and(|host| !host.is_empty()) {
            broken(
                HOST_PROBES,
                host.clone(),
                format!("{who} has `{}` called", host.shown()),
            );
        }
    }
    let mount = container.security("procMount");
    if mount.exists() && mount.text() != Some("Default") {
        broken(
            PROC_MOUNT,
            mount.clone(),
            format!("{who} sets `{}`", mount.shown()),
        );
    }
    let own = container.security("runAsNonRoot");
    let wanted = own.flag().or(pod.security("runAsNonRoot").flag());
    if own.flag() == Some(false) || wanted.is_none() {
        let verb = if own.exists() {
            "sets it to false"
        } else {
            "does not have it, nor has its pod"
        };
        broken(NON_ROOT, own, format!("{who} {verb}"));
    }
    settings(pod, &container.spec.key("securityContext"), &who, out);
    if !pod.windows() {
        linux(pod, container, &who, out);
    }
}

/// What Windows pods need not say.
fn linux(pod: &Pod<'_>, container: &Container<'_>, who: &str, out: &mut Findings<'_>) {
    let escalation = container.security("allowPrivilegeEscalation");
    if escalation.flag() != Some(false) {
        out.add(
            ESCALATION,
            pod.at,
            &escalation,
            format!("{who} does not forbid it"),
        );
    }
    let drop = container.security("capabilities.drop");
    if !drop.items().iter().any(|it| it.text() == Some("ALL")) {
        out.add(
            CAPABILITIES,
            pod.at,
            &drop,
            format!("{who} does not drop ALL"),
        );
    }
    for added in container.security("capabilities.add").items() {
        if added.text() != Some("NET_BIND_SERVICE") {
            out.add(
                CAPABILITIES,
                pod.at,
                &added,
                format!("{who} adds {}", added.shown()),
            );
        }
    }
    let own = container.security("seccompProfile");
    let type_ = own.key("type");
    if own.exists() && !filtered(&type_) {
        out.add(
            SECCOMP,
            pod.at,
            &type_,
            format!("{who} sets `{}`", type_.shown()),
        );
    } else if !own.exists() && !filtered(&pod.security("seccompProfile.type")) {
        out.add(
            SECCOMP,
            pod.at,
            &own,
            format!("{who} has no profile, nor has its pod"),
        );
    }
}

fn filtered(type_: &At<'_>) -> bool {
    matches!(type_.text(), Some("RuntimeDefault" | "Localhost"))
}

fn volume(pod: &Pod<'_>, volume: &At<'_>, out: &mut Findings<'_>) {
    let sources: Vec<&str> = volume
        .entries()
        .into_iter()
        .filter(|(key, value)| *key != "name" && value.exists())
        .map(|(key, _)| key)
        .collect();
    // A volume without a source becomes an emptyDir before it is looked at.
    if sources.is_empty() || sources.iter().any(|source| VOLUME_TYPES.contains(source)) {
        return;
    }
    let name = volume.key("name").text().unwrap_or_default();
    let message = format!("volume `{name}` is a `{}`", sources.join("`, `"));
    out.add(VOLUMES, pod.at, &volume.key(sources[0]), message);
}

fn namespace(at: usize, root: &At<'_>, out: &mut Findings<'_>) {
    let labels = root.dig("metadata.labels");
    let enforce = labels.key("pod-security.kubernetes.io/enforce");
    let version = labels.key("pod-security.kubernetes.io/enforce-version");
    match enforce.text() {
        None => out.add(NAMESPACE_OPEN, at, &enforce, "the label is missing"),
        Some("restricted") if version.exists() => {}
        Some("restricted") => out.add(NAMESPACE_LOOSE, at, &version, "no version is fixed"),
        Some(other) => out.add(
            NAMESPACE_LOOSE,
            at,
            &enforce,
            format!("it enforces `{other}`"),
        ),
    }
}

const VOLUME_TYPES: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

const HOOKS: &[&str] = &[
    "livenessProbe.httpGet",
    "livenessProbe.tcpSocket",
    "readinessProbe.httpGet",
    "readinessProbe.tcpSocket",
    "startupProbe.httpGet",
    "startupProbe.tcpSocket",
    "lifecycle.postStart.httpGet",
    "lifecycle.postStart.tcpSocket",
    "lifecycle.preStop.httpGet",
    "lifecycle.preStop.tcpSocket",
];

const SAFE_SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
