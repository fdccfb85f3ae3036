//! `TriggerAuthentication` and its cluster-wide twin: where a scaler's credentials come from.
//!
//! Must not hold a credential: these objects only name Secrets, variables and stores.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::{ApiVersion, AwsSecretManager, AzureKeyVault, GcpSecretManager, HashiCorpVault};

/// The literal `TriggerAuthentication`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TriggerAuthenticationKind {
    /// The only value.
    #[default]
    TriggerAuthentication,
}

/// The literal `ClusterTriggerAuthentication`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterTriggerAuthenticationKind {
    /// The only value.
    #[default]
    ClusterTriggerAuthentication,
}

/// Credentials for the triggers of one namespace (source: `triggerauthentication_types.go`, v2.20).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TriggerAuthentication {
    /// Always `keda.sh/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `TriggerAuthentication`.
    pub kind: TriggerAuthenticationKind,
    /// Name and namespace.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Where each parameter comes from.
    pub spec: TriggerAuthenticationSpec,
    /// What the operator wrote, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

/// Credentials for the triggers of every namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterTriggerAuthentication {
    /// Always `keda.sh/v1alpha1`.
    pub api_version: ApiVersion,
    /// Always `ClusterTriggerAuthentication`.
    pub kind: ClusterTriggerAuthenticationKind,
    /// Name.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Where each parameter comes from.
    pub spec: TriggerAuthenticationSpec,
    /// What the operator wrote, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

/// `spec` of both kinds: each list adds parameters to the scaler's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TriggerAuthenticationSpec {
    /// The cloud's own identity of the operator or the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
    /// Keys of Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_target_ref: Option<Vec<AuthTargetRef>>,
    /// Keys of `ConfigMaps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_target_ref: Option<Vec<AuthTargetRef>>,
    /// Variables of the target's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<AuthEnvironment>>,
    /// `HashiCorp` Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashi_corp_vault: Option<HashiCorpVault>,
    /// Azure Key Vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure_key_vault: Option<AzureKeyVault>,
    /// Google's Secret Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp_secret_manager: Option<GcpSecretManager>,
    /// AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_secret_manager: Option<AwsSecretManager>,
    /// Tokens that the operator requests for a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_service_account_token: Option<Vec<BoundServiceAccountToken>>,
}

/// One key of a Secret or `ConfigMap` that becomes one parameter of the scaler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthTargetRef {
    /// The scaler's parameter, such as `password` or `sentinelPassword`.
    pub parameter: String,
    /// Name of the Secret or `ConfigMap`.
    pub name: String,
    /// Key in it.
    pub key: String,
}

/// One variable of the target's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthEnvironment {
    /// The scaler's parameter.
    pub parameter: String,
    /// Name of the variable.
    pub name: String,
    /// Default the first container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
}

/// One service account whose token becomes a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BoundServiceAccountToken {
    /// The scaler's parameter.
    pub parameter: String,
    /// Name of the service account.
    pub service_account_name: String,
}

/// The cloud's own identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodIdentity {
    /// Which cloud.
    pub provider: PodIdentityProvider,
    /// Azure: client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_id: Option<String>,
    /// Azure: tenant, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_tenant_id: Option<String>,
    /// Azure: authority host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_authority_host: Option<String>,
    /// AWS: role; excludes `identityOwner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// AWS: external id used with the role.
    #[serde(
        default,
        rename = "externalID",
        skip_serializing_if = "Option::is_none"
    )]
    pub external_id: Option<String>,
    /// AWS: whose identity is discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_owner: Option<IdentityOwner>,
}

/// Clouds that KEDA knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodIdentityProvider {
    /// Entra workload identity.
    AzureWorkload,
    /// Google.
    Gcp,
    /// AWS.
    Aws,
    /// AWS through the role of the EKS service account.
    AwsEks,
    /// None.
    None,
}

/// Whose identity AWS discovery takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IdentityOwner {
    /// The operator's.
    Keda,
    /// The scaled workload's.
    Workload,
}
