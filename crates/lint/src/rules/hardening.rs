//! What a container may do beyond the Pod Security Standards: file system, user numbers, accounts, sockets, ports.
//! Judges one pod at a time, with the accounts of its set.

use std::path::Path;

use crate::finding::Findings;
use crate::pod::{Container, Pod};
use crate::rule::rules;
use crate::set::Set;

rules! {
    ROOT_FS "KL0201" Warning "a container may write to its own image",
        why "What can be written can be replaced: an attacker leaves programs where the service runs them, and disks fill up unseen.",
        cure "set `readOnlyRootFilesystem: true`, and mount an emptyDir where the program writes",
        peers "kube-linter no-read-only-root-fs, kube-score container-security-context-readonlyrootfilesystem, polaris notReadOnlyRootFilesystem, CKV_K8S_22";
    LOW_IDS "KL0202" Warning "user or group number below 10000, or not set",
        why "Low numbers belong to accounts of the node: after an escape, or on a shared volume, the container has their files.",
        cure "set `runAsUser` and `runAsGroup` to a number from 10000, such as 65532",
        peers "kube-score container-security-context-user-group-id, CKV_K8S_40";
    TOKEN "KL0203" Warning "a pod gets a token for the API server that nothing here needs",
        why "The token is a file in every container; whoever reads it speaks to the API server in the pod's name.",
        cure "set `automountServiceAccountToken: false` in the pod and in its ServiceAccount",
        peers "polaris automountServiceAccountToken, NSA/CISA: service account token, CKV_K8S_38";
    SERVICE_LINKS "KL0204" Note "every Service of the namespace becomes variables of the pod",
        why "The variables slow starts in large namespaces, collide with a program's own (`REDIS_PORT`), and tell an intruder what is there.",
        cure "set `enableServiceLinks: false`",
        peers "";
    SOCKET "KL0205" Error "the socket of the container runtime is mounted",
        why "Who speaks to the runtime starts any container on the node, as root.",
        cure "remove the mount; read what is needed through the API server",
        peers "kube-linter docker-sock sensitive-host-mounts, CKV_K8S_27";
    SSH "KL0206" Warning "a container listens on port 22",
        why "An SSH server in a container is a second way in with keys and passwords of its own; `kubectl exec` is logged and authorized.",
        cure "remove the port and the server",
        peers "kube-linter ssh-port";
    OLD_ACCOUNT "KL0207" Note "`serviceAccount` is the old name of the field",
        why "Both names are kept equal by the API server; who changes one of them in a file changes nothing.",
        cure "write `serviceAccountName`",
        peers "kube-linter deprecated-service-account-field";
    NO_ACCOUNT "KL0208" Warning "the ServiceAccount is not among the objects",
        why "Pods of a missing account are not created, and the reason stands only in an event of the ReplicaSet.",
        cure "add the ServiceAccount, or mend the name",
        peers "kube-linter non-existent-service-account";
    NAMESPACE "KL0209" Warning "a workload lives in the namespace `default`",
        why "`default` has no owner, and cannot be deleted, limited or locked without hitting others.",
        cure "give the application a namespace of its own",
        peers "kube-linter use-namespace, CIS 5.7.4, CKV_K8S_21";
    SHARED_PROCESSES "KL0210" Warning "containers of a pod see each other's processes",
        why "Every container of the pod can then read the environment and the files of the others through /proc.",
        cure "remove `shareProcessNamespace`",
        peers "NSA/CISA: process namespace, CIS 5.2";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        account(set, pod, out);
        self::pod(pod, out);
        for container in pod.containers() {
            self::container(pod, container, out);
        }
    }
}

fn pod(pod: &Pod<'_>, out: &mut Findings<'_>) {
    let links = pod.spec.key("enableServiceLinks");
    if links.flag() != Some(false) {
        out.add(SERVICE_LINKS, pod.at, &links, "it is not switched off");
    }
    let shared = pod.spec.key("shareProcessNamespace");
    // The only container has nobody to look at but the pod's own first process.
    if shared.flag() == Some(true) && pod.containers().len() > 1 {
        out.add(SHARED_PROCESSES, pod.at, &shared, "it is true");
    }
    if pod.owner.namespace() == "default" {
        let at = pod.owner.root().dig("metadata.namespace");
        out.add(NAMESPACE, pod.at, &at, "the namespace is `default`");
    }
    for volume in pod.spec.key("volumes").items() {
        let path = volume.dig("hostPath.path");
        let socket = |path: &str| Path::new(path).extension().is_some_and(|it| it == "sock");
        if path.text().is_some_and(socket) {
            out.add(
                SOCKET,
                pod.at,
                &path,
                format!("`{}` is mounted", path.shown()),
            );
        }
    }
}

fn container(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    let name = container.name();
    for port in container.spec.key("ports").items() {
        let port = port.key("containerPort");
        if port.whole() == Some(22) {
            out.add(SSH, pod.at, &port, format!("container `{name}` opens it"));
        }
    }
    if pod.windows() {
        return;
    }
    let root = container.security("readOnlyRootFilesystem");
    if root.flag() != Some(true) {
        out.add(
            ROOT_FS,
            pod.at,
            &root,
            format!("container `{name}` may write everywhere"),
        );
    }
    for key in ["runAsUser", "runAsGroup"] {
        let own = container.security(key);
        let found = own.whole().or(pod.security(key).whole());
        // 0 is an error of its own.
        if found.is_none_or(|id| (1..10_000).contains(&id)) {
            let id = found.map_or_else(|| "not set".to_owned(), |id| id.to_string());
            out.add(
                LOW_IDS,
                pod.at,
                &own,
                format!("{key} of container `{name}` is {id}"),
            );
        }
    }
}

fn account(set: &Set<'_>, pod: &Pod<'_>, out: &mut Findings<'_>) {
    let old = pod.spec.key("serviceAccount");
    let named = pod.spec.key("serviceAccountName");
    if old.exists() && !named.exists() {
        out.add(OLD_ACCOUNT, pod.at, &old, "the new name is not there");
    }
    let name = named.text().or(old.text()).unwrap_or("default");
    let beside = || {
        set.of_kind("", "ServiceAccount")
            .filter(|(_, it)| it.beside(pod.owner))
    };
    let account = beside().find(|(_, it)| it.name() == name);
    if account.is_none() && name != "default" && beside().next().is_some() {
        out.add(
            NO_ACCOUNT,
            pod.at,
            &named,
            format!("there is no ServiceAccount `{name}`"),
        );
    }
    let of_account =
        account.and_then(|(_, it)| it.root().key("automountServiceAccountToken").flag());
    let own = pod.spec.key("automountServiceAccountToken");
    if own.flag().or(of_account) != Some(false) && !bound(set, pod, name) {
        out.add(
            TOKEN,
            pod.at,
            &own,
            format!("the token of `{name}` is mounted, and no binding here gives it rights"),
        );
    }
}

/// Whether some binding of the set gives rights to the account.
fn bound(set: &Set<'_>, pod: &Pod<'_>, account: &str) -> bool {
    let group = "rbac.authorization.k8s.io";
    let bindings = set
        .of_kind(group, "RoleBinding")
        .chain(set.of_kind(group, "ClusterRoleBinding"));
    let own = pod.owner.namespace();
    bindings
        .flat_map(|(_, binding)| binding.root().key("subjects").items())
        .any(|subject| {
            let namespace = subject.key("namespace").text().unwrap_or_default();
            subject.key("kind").text() == Some("ServiceAccount")
                && subject.key("name").text() == Some(account)
                && (namespace == own || namespace.is_empty() || own.is_empty())
        })
}
