//! Typed objects of `keda.sh/v1alpha1`, as KEDA v2.20 accepts them.
//!
//! Shapes only: nothing here reads a file, fills a default into an object or decides anything. Unknown
//! fields are refused, so that a typing error in a manifest is an error here and not a silent no-op.

mod annotations;
mod scaled_job;
mod scaled_object;
mod secret_stores;
mod trigger_authentication;

pub use annotations::{
    FORCE_ACTIVATION, HPA_EXCLUDED_LABELS, OWNER, PAUSED, PAUSED_REPLICAS, PAUSED_SCALE_IN,
    PAUSED_SCALE_OUT, Pause, TRANSFER_HPA_OWNERSHIP,
};
pub use scaled_job::{
    JobCalculation, JobStrategy, Rollout, ScaledJob, ScaledJobKind, ScaledJobSpec, ScalingStrategy,
};
pub use scaled_object::{
    AdvancedConfig, ApiVersion, AuthKind, AuthenticationRef, Fallback, FallbackBehavior,
    HorizontalPodAutoscalerConfig, MetricType, ModifierMetricType, ScaleTarget, ScaledObject,
    ScaledObjectKind, ScaledObjectSpec, ScalingModifiers, Trigger,
};
pub use secret_stores::{
    AwsCredentials, AwsSecret, AwsSecretManager, AwsValue, AzureClientSecret, AzureCloud,
    AzureCredentials, AzureKeyVault, AzureSecret, GcpCredentials, GcpSecret, GcpSecretManager,
    HashiCorpVault, SecretKeyRef, ValueFromSecret, VaultCredential, VaultPkiData, VaultSecret,
};
pub use trigger_authentication::{
    AuthEnvironment, AuthTargetRef, BoundServiceAccountToken, ClusterTriggerAuthentication,
    ClusterTriggerAuthenticationKind, IdentityOwner, PodIdentity, PodIdentityProvider,
    TriggerAuthentication, TriggerAuthenticationKind, TriggerAuthenticationSpec,
};

/// Default of `spec.pollingInterval`, in seconds (source: `withtriggers_types.go`).
pub const DEFAULT_POLLING_INTERVAL: i32 = 30;
/// Default of `spec.cooldownPeriod`, in seconds (source: `scale_executor.go`).
pub const DEFAULT_COOLDOWN_PERIOD: i32 = 300;
/// Default of `spec.maxReplicaCount` (source: `scaledobject_types.go`).
pub const DEFAULT_MAX_REPLICAS: i32 = 100;
