//! Rights: what roles allow, and to whom they are bound.
//! Judges each role and binding by itself.

use crate::Object;
use crate::finding::Findings;
use crate::rule::{Rule, rules};
use crate::set::Set;
use crate::view::At;

rules! {
    CLUSTER_ADMIN "KL0901" Error "an account is made administrator of the cluster",
        why "Whoever gets hold of one of its tokens owns every node and every Secret.",
        cure "bind a role with the rights that are needed",
        peers "kube-linter cluster-admin-role-binding, polaris clusterrolebindingClusterAdmin rolebindingClusterAdminClusterRole, CIS 5.1.1";
    WILDCARD "KL0902" Warning "a role allows everything of some kind",
        why "A `*` grows with the cluster: it takes in Secrets, new kinds and new verbs.",
        cure "name groups, resources and verbs",
        peers "kube-linter wildcard-in-rules, CIS 5.1.3, CKV_K8S_49";
    SECRETS "KL0903" Warning "a role of the whole cluster reads Secrets",
        why "It reads the passwords and tokens of every namespace, those of administrators too.",
        cure "use a Role in the namespace, with `resourceNames`",
        peers "kube-linter access-to-secrets, CIS 5.1.2";
    CREATE_PODS "KL0904" Warning "a role of the whole cluster makes pods",
        why "A pod mounts any Secret and any account of its namespace: who makes pods has the rights of all of them.",
        cure "use a Role in one namespace",
        peers "kube-linter access-to-create-pods, CIS 5.1.4";
    EXEC "KL0905" Warning "a role may run commands in pods",
        why "`exec` and `attach` give everything that the pod has, its Secrets among it.",
        cure "remove `pods/exec` and `pods/attach`",
        peers "polaris clusterrolePodExecAttach rolePodExecAttach";
    ESCALATE "KL0906" Error "a role may give itself more rights",
        why "`escalate`, `bind` and `impersonate`, and `nodes/proxy`, webhooks and certificate approvals, are each a way to administrator.",
        cure "remove the verb or resource",
        peers "CIS 5.1.8, CKV_K8S_155, CKV_K8S_156, CKV_K8S_157, CKV_K8S_158";
    EVERYBODY "KL0907" Error "rights are bound to everybody",
        why "`system:anonymous`, `system:unauthenticated` and `system:authenticated` are everyone who reaches the API server, or every pod of the cluster.",
        cure "bind an account or a group of people",
        peers "CIS 5.1.1";
    DEFAULT_ACCOUNT "KL0908" Warning "rights are bound to the account `default`",
        why "Every pod of the namespace that names no account has them.",
        cure "make a ServiceAccount for the pods that need them",
        peers "CIS 5.1.5, CKV_K8S_42";
}

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for kind in ["Role", "ClusterRole"] {
        for (at, object) in set.of_kind(GROUP, kind) {
            for rule in object.root().key("rules").items() {
                self::rule(at, object, &rule, out);
            }
        }
    }
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        for (at, object) in set.of_kind(GROUP, kind) {
            binding(at, object, out);
        }
    }
}

fn has(list: &At<'_>, words: &[&str]) -> bool {
    list.items()
        .iter()
        .any(|it| it.text().is_some_and(|text| words.contains(&text)))
}

fn rule(at: usize, object: &Object, rule: &At<'_>, out: &mut Findings<'_>) {
    let (groups, resources, verbs) = (
        rule.key("apiGroups"),
        rule.key("resources"),
        rule.key("verbs"),
    );
    for list in [&groups, &resources, &verbs] {
        if has(list, &["*"]) {
            out.add(WILDCARD, at, list, "it has a `*`");
        }
    }
    let named = !rule.key("resourceNames").items().is_empty();
    let core = has(&groups, &["", "*"]);
    let cluster = object.kind() == "ClusterRole";
    let mut broken = |rule: &'static Rule, list: &At<'_>, what: &str| out.add(rule, at, list, what);
    if cluster
        && core
        && !named
        && has(&resources, &["secrets"])
        && has(&verbs, &["get", "list", "watch", "*"])
    {
        broken(SECRETS, &resources, "`secrets`");
    }
    if cluster && core && has(&resources, &["pods"]) && has(&verbs, &["create", "*"]) {
        broken(CREATE_PODS, &resources, "`pods`");
    }
    if core
        && has(&resources, &["pods/exec", "pods/attach"])
        && has(&verbs, &["create", "get", "*"])
    {
        broken(EXEC, &resources, "`pods/exec` or `pods/attach`");
    }
    if has(&verbs, &["escalate", "bind", "impersonate"]) {
        broken(ESCALATE, &verbs, "`escalate`, `bind` or `impersonate`");
    }
    let writes = has(&verbs, &["create", "update", "patch", "*"]);
    if core && has(&resources, &["nodes/proxy"]) {
        broken(ESCALATE, &resources, "`nodes/proxy`");
    }
    if cluster
        && writes
        && !named
        && has(
            &resources,
            &[
                "mutatingwebhookconfigurations",
                "validatingwebhookconfigurations",
            ],
        )
    {
        broken(ESCALATE, &resources, "webhook configurations");
    }
    if cluster && writes && has(&resources, &["certificatesigningrequests/approval"]) {
        broken(
            ESCALATE,
            &resources,
            "`certificatesigningrequests/approval`",
        );
    }
}

fn binding(at: usize, object: &Object, out: &mut Findings<'_>) {
    let role = object.root().key("roleRef");
    if role.key("name").text() == Some("cluster-admin") {
        out.add(
            CLUSTER_ADMIN,
            at,
            &role.key("name"),
            "it binds `cluster-admin`",
        );
    }
    for subject in object.root().key("subjects").items() {
        let name = subject.key("name");
        let everybody = [
            "system:anonymous",
            "system:unauthenticated",
            "system:authenticated",
        ];
        match (subject.key("kind").text(), name.text()) {
            (Some("User" | "Group"), Some(who)) if everybody.contains(&who) => {
                out.add(EVERYBODY, at, &name, format!("it binds `{who}`"));
            }
            (Some("ServiceAccount"), Some("default")) => {
                out.add(DEFAULT_ACCOUNT, at, &name, "it binds `default`");
            }
            _ => {}
        }
    }
}
