//! The typed objects that come out of the templates.
//! Knows kinds and names; fills nothing in.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kedactl_autoscale::api::{ScaledObject, TriggerAuthentication};
use kedactl_config::to_yaml;
use serde_json::Value as Json;

use crate::documents::typed;
use crate::strict::Refusal;

/// Writes the enum, its table of kinds and what all kinds share, in the order in which objects are applied.
macro_rules! kinds {
    ($($version:literal $kind:ident $about:literal,)*) => {
        /// One Kubernetes object.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Object {
            $(#[doc = $about] $kind(Box<$kind>),)*
        }

        /// Version, kind and reader of every object that a template may hold.
        pub(crate) const KINDS: &[(&str, &str, Reader)] = &[
            $(($version, stringify!($kind), |document| typed(document).map(|it| Object::$kind(Box::new(it)))),)*
        ];

        impl Object {
            /// `apiVersion`.
            pub fn api_version(&self) -> &'static str {
                match self { $(Self::$kind(_) => $version,)* }
            }

            /// `kind`.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => stringify!($kind),)* }
            }

            /// `metadata`.
            pub fn metadata(&self) -> &ObjectMeta {
                match self { $(Self::$kind(it) => &it.metadata,)* }
            }

            /// Canonical YAML.
            pub(crate) fn yaml(&self) -> Result<String, String> {
                match self { $(Self::$kind(it) => to_yaml(it),)* }.map_err(|error| error.to_string())
            }

            /// The object as JSON.
            pub fn to_json(&self) -> Json {
                match self { $(Self::$kind(it) => serde_json::to_value(it),)* }.unwrap_or_default()
            }
        }
    };
}

type Reader = fn(&Json) -> Result<Object, Refusal>;

kinds! {
    "v1" Namespace "v1 `Namespace`.",
    "v1" ServiceAccount "v1 `ServiceAccount`.",
    "v1" ConfigMap "v1 `ConfigMap`.",
    "networking.k8s.io/v1" NetworkPolicy "networking.k8s.io/v1 `NetworkPolicy`.",
    "policy/v1" PodDisruptionBudget "policy/v1 `PodDisruptionBudget`.",
    "v1" Service "v1 `Service`.",
    "apps/v1" Deployment "apps/v1 `Deployment`.",
    "autoscaling/v2" HorizontalPodAutoscaler "autoscaling/v2 `HorizontalPodAutoscaler`.",
    "networking.k8s.io/v1" Ingress "networking.k8s.io/v1 `Ingress`.",
    "keda.sh/v1alpha1" TriggerAuthentication "keda.sh/v1alpha1 `TriggerAuthentication`.",
    "keda.sh/v1alpha1" ScaledObject "keda.sh/v1alpha1 `ScaledObject`.",
}

impl Object {
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Place in the order in which objects are applied.
    pub(crate) fn rank(&self) -> usize {
        KINDS
            .iter()
            .position(|(_, kind, _)| *kind == self.kind())
            .unwrap_or(KINDS.len())
    }
}

/// One object with its text and its template.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The typed object.
    pub object: Object,
    /// Its canonical YAML, ending in a newline, without a document marker.
    pub yaml: String,
    /// The template that it came from, `api.yaml.hbs`.
    pub template: String,
}

/// All objects of a stack, in the order in which they should be applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifests {
    /// The objects.
    pub objects: Vec<Rendered>,
}

impl Manifests {
    /// All objects as one YAML text, `---` between them.
    pub fn to_yaml(&self) -> String {
        self.objects
            .iter()
            .map(|it| it.yaml.as_str())
            .collect::<Vec<_>>()
            .join("---\n")
    }

    /// All objects as a `v1` List in JSON.
    pub fn to_json(&self) -> Json {
        let items: Vec<Json> = self.objects.iter().map(|it| it.object.to_json()).collect();
        serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items})
    }

    /// One file an object, `(name, text)`; names sort in the order in which the objects should be applied.
    pub fn files(&self) -> Vec<(String, String)> {
        let file = |it: &Rendered| {
            let kind = it.object.kind().to_ascii_lowercase();
            let name = format!("{:02}-{kind}-{}.yaml", it.object.rank(), it.object.name());
            (name, it.yaml.clone())
        };
        self.objects.iter().map(file).collect()
    }

    /// The Deployment of that name.
    pub fn deployment(&self, name: &str) -> Option<&Deployment> {
        self.objects.iter().find_map(|it| match &it.object {
            Object::Deployment(found) if it.object.name() == name => Some(&**found),
            _ => None,
        })
    }

    /// The Service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.objects.iter().find_map(|it| match &it.object {
            Object::Service(found) if it.object.name() == name => Some(&**found),
            _ => None,
        })
    }

    /// The `HorizontalPodAutoscaler` of that name.
    pub fn autoscaler(&self, name: &str) -> Option<&HorizontalPodAutoscaler> {
        self.objects.iter().find_map(|it| match &it.object {
            Object::HorizontalPodAutoscaler(found) if it.object.name() == name => Some(&**found),
            _ => None,
        })
    }

    /// The `ScaledObject` of that name.
    pub fn scaled_object(&self, name: &str) -> Option<&ScaledObject> {
        self.objects.iter().find_map(|it| match &it.object {
            Object::ScaledObject(found) if it.object.name() == name => Some(&**found),
            _ => None,
        })
    }
}
