{{- /* Of a part: (list . "prometheus"). */ -}}
{{- define "monitoring.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end -}}

{{- define "monitoring.labels" -}}
{{- $root := index . 0 -}}
{{ include "monitoring.selector" . }}
app.kubernetes.io/component: monitoring
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* Name, namespace, labels and annotations: (list . "prometheus"), and a name where it is another. */ -}}
{{- define "monitoring.metadata" -}}
{{- $root := index . 0 }}
  name: {{ if gt (len .) 2 }}{{ index . 2 }}{{ else }}{{ index . 1 }}{{ end }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "monitoring.labels" . | nindent 4 }}
  {{- with $root.Values.commonAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- /* The same for a workload, which says why rules of `kedactl lint`, kube-score and checkov do not fit it; with a reason to be alone. */ -}}
{{- define "monitoring.workload" -}}
{{- $root := index . 0 }}
  name: {{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "monitoring.labels" . | nindent 4 }}
  {{- with mergeOverwrite (include "monitoring.reasons" . | fromYaml) $root.Values.commonAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "monitoring.reasons" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $image := (index $root.Values $name).image -}}
{{- $lint := list -}}
{{- $score := list -}}
{{- $checkov := list -}}
{{- if not $image.digest -}}
{{- $tag := "the values name the image by its tag" -}}
{{- $lint = append $lint (printf "KL0403 %s" $tag) -}}
{{- $checkov = append $checkov (printf "CKV_K8S_43=%s" $tag) -}}
{{- end -}}
{{- if ne $image.pullPolicy "Always" -}}
{{- $loaded := "images loaded into the nodes are in no registry to pull from" -}}
{{- if not $image.digest -}}
{{- $lint = append $lint (printf "KL0404 %s" $loaded) -}}
{{- $checkov = append $checkov (printf "CKV_K8S_15=%s" $loaded) -}}
{{- end -}}
{{- $score = append $score "container-image-pull-policy" -}}
{{- end -}}
{{- if eq (include "monitoring.asks" .) "true" -}}
{{- $checkov = append $checkov "CKV_K8S_38=it reads pods of named namespaces through the API server" -}}
{{- end -}}
{{- if gt (len .) 2 -}}
{{- $lint = append $lint (printf "KL0707 %s" (index . 2)) -}}
{{- $score = append $score "deployment-replicas" -}}
{{- end -}}
{{- with $lint }}
lint.kedactl.io/ignore: {{ join "; " . | quote }}
{{- end }}
{{- with $score }}
kube-score/ignore: {{ join "," . | quote }}
{{- end }}
{{- range $at, $reason := $checkov }}
checkov.io/skip{{ add1 $at }}: {{ $reason | quote }}
{{- end }}
{{- end -}}

{{- /* Whether a part asks the API server, and has a token for it: (list . "prometheus"). */ -}}
{{- define "monitoring.asks" -}}
{{- $asks := list "alloy" "kube-state-metrics" -}}
{{- if eq (first .).Values.prometheus.discovery "kubernetes" }}{{ $asks = append $asks "prometheus" }}{{ end -}}
{{- has (index . 1) $asks -}}
{{- end -}}

{{- /* Name of an object of this release in a namespace that others use too: (list . "keda-operator"). */ -}}
{{- define "monitoring.abroad" -}}
{{- $name := printf "%s-%s" (first .).Release.Namespace (last .) -}}
{{- if gt (len $name) 63 }}{{ $name = printf "%s-%s" (trunc 54 $name | trimSuffix "-") (sha1sum $name | trunc 8) }}{{ end -}}
{{- $name -}}
{{- end -}}

{{- /* What makes Prometheus scrape a pod: its port. */ -}}
{{- define "monitoring.scraped" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ . | quote }}
prometheus.io/path: /metrics
{{- end -}}

{{- define "monitoring.image" -}}
{{- $image := (index (index . 0).Values (index . 1)).image -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $image.repository }}{{ end -}}
image: {{ if $image.digest }}{{ printf "%s@%s" $name $image.digest }}{{ else }}{{ printf "%s:%s" $name ($image.tag | toString) }}{{ end }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end -}}

{{- /* What every pod has in common: (list . "prometheus"). */ -}}
{{- define "monitoring.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: {{ include "monitoring.asks" . }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds | int }}
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The claim of a StatefulSet, or the folder in its place; both are called `data`. */ -}}
{{- define "monitoring.folder" -}}
{{- if not .persistence.enabled }}
- name: data
  emptyDir: { sizeLimit: {{ .persistence.size }} }
{{- end }}
{{- end -}}

{{- define "monitoring.claim" -}}
{{- with (index (index . 0).Values (index . 1)).persistence }}
{{- if .enabled }}
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
        labels: {{- include "monitoring.selector" $ | nindent 10 }}
      spec:
        accessModes: {{- toYaml .accessModes | nindent 10 }}
        {{- with .storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources: { requests: { storage: {{ .size }} } }
{{- end }}
{{- end }}
{{- end -}}

{{- /* Every namespace that is looked after, once. */ -}}
{{- define "monitoring.namespaces" -}}
{{- append .Values.namespaces .Release.Namespace | uniq | sortAlpha | toJson -}}
{{- end -}}

{{- /* What cannot work is refused before anything is written. */ -}}
{{- define "monitoring.check" -}}
{{- if and .Values.alloy.enabled (not .Values.loki.enabled) -}}
{{- fail "alloy.enabled without loki.enabled: the logs would go nowhere" -}}
{{- end -}}
{{- if and .Values.grafana.enabled (not .Values.prometheus.enabled) -}}
{{- fail "grafana.enabled without prometheus.enabled: the dashboards would have nothing to show" -}}
{{- end -}}
{{- if and .Values.alertmanager.enabled (not .Values.prometheus.enabled) -}}
{{- fail "alertmanager.enabled without prometheus.enabled: nobody would tell it of an alert" -}}
{{- end -}}
{{- if not (has .Values.prometheus.discovery (list "kubernetes" "dns")) -}}
{{- fail (printf "prometheus.discovery must be kubernetes or dns, not %q" .Values.prometheus.discovery) -}}
{{- end -}}
{{- if not (regexMatch "^[0-9]+h$" .Values.loki.retention) -}}
{{- fail (printf "loki.retention must be whole hours, as 72h, not %q" .Values.loki.retention) -}}
{{- end -}}
{{- end -}}
