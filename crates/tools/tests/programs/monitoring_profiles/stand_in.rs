//! Charts in the place of the published ones: what those name, mount and write, for the values that profiles give.
//! Must not know a profile.

/// Objects of loki-stack, whose parts are charts of their own, under the names that it gives them.
const CLASSIC: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {ports: [{port: 3100}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.grafana.fullnameOverride | default (printf "%s-grafana" .Release.Name) }}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.prometheus.server.fullnameOverride | default (printf "%s-prometheus-server" .Release.Name) }}}
spec: {ports: [{port: {{ .Values.prometheus.server.service.servicePort }}}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.prometheus.alertmanager.fullnameOverride | default (printf "%s-alertmanager" .Release.Name) }}}
spec: {ports: [{port: 9093}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus-server}
data:
  alerting_rules.yml: |
    {{- toYaml (index .Values.prometheus.serverFiles "alerting_rules.yml") | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: alertmanager}
data:
  alertmanager.yml: |
    {{- toYaml .Values.prometheus.alertmanager.config | nindent 4 }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: alertmanager}
spec:
  template:
    spec:
      containers: [{name: a, image: a, volumeMounts: {{ toJson .Values.prometheus.alertmanager.extraSecretMounts }}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-grafana}
data:
  admin: {{ toJson .Values.grafana.admin | quote }}
  label: {{ printf "%s=%s" .Values.grafana.sidecar.dashboards.label .Values.grafana.sidecar.dashboards.labelValue | quote }}
"#;

const CLASSIC_VALUES: &str = "prometheus:\n  server: {service: {servicePort: 80}}\n  serverFiles: {alerting_rules.yml: {}}\n  \
    alertmanager:\n    extraSecretMounts: []\n    config: {templates: ['/etc/alertmanager/*.tmpl'], \
    receivers: [{name: default-receiver}], route: {receiver: default-receiver, repeat_interval: 3h}}\n";

/// Objects of kube-prometheus-stack: the operator makes pods of them, and mounts the Secrets that are named.
const MODERN: &str = r#"
{{- $name := .Release.Name }}
apiVersion: v1
kind: Service
metadata: {name: {{ $name }}-prometheus}
spec: {ports: [{port: 9090}]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Values.grafana.fullnameOverride | default (printf "%s-grafana" $name) }}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: alertmanager-{{ $name }}-alertmanager}
stringData: {alertmanager.yaml: {{ toYaml .Values.alertmanager.config | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ $name }}-scrape}
stringData: {jobs.yaml: {{ tpl (toYaml .Values.prometheus.prometheusSpec.additionalScrapeConfigs) . | quote }}}
---
apiVersion: monitoring.coreos.com/v1
kind: Alertmanager
metadata: {name: {{ $name }}-alertmanager}
spec: {secrets: {{ toJson .Values.alertmanager.alertmanagerSpec.secrets }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-grafana}
data:
  admin: {{ toJson .Values.grafana.admin | quote }}
  label: grafana_dashboard=1
{{- range $rules, $value := .Values.additionalPrometheusRulesMap }}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: {{ $rules }}}
spec:
  groups:
    {{- toYaml $value.groups | nindent 4 }}
{{- end }}
{{- range .Values.extraManifests }}
---
{{ tpl (toYaml .) $ }}
{{- end }}
"#;

const MODERN_VALUES: &str = "alertmanager:\n  alertmanagerSpec: {secrets: []}\n  config: {global: {resolve_timeout: 5m}, \
    route: {receiver: 'null', group_by: [namespace], routes: [{receiver: 'null', matchers: ['alertname = \"Watchdog\"']}]}, \
    receivers: [{name: 'null'}], templates: ['/etc/alertmanager/config/*.tmpl']}\nextraManifests: []\n";

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: {{ .Release.Name }}}\nspec: {ports: [{port: 3100}]}\n";
const NOTHING: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";

/// Templates and values of the stand-in for a chart.
pub(super) fn stand_in(chart: &str) -> (&'static str, &'static str) {
    match chart {
        "loki-stack" => (CLASSIC, CLASSIC_VALUES),
        "kube-prometheus-stack" => (MODERN, MODERN_VALUES),
        "loki" => (SERVICE, ""),
        _ => (NOTHING, ""),
    }
}
