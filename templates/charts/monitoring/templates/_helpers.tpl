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

{{- /* The same for a workload, which says why rules of `kedactl lint` and kube-score do not fit it; with a reason to be alone. */ -}}
{{- define "monitoring.workload" -}}
{{- $root := index . 0 -}}
{{- $image := (index $root.Values (index . 1)).image }}
  name: {{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "monitoring.labels" . | nindent 4 }}
  {{- $reasons := list -}}
  {{- $score := list -}}
  {{- if not $image.digest -}}
  {{- $reasons = append $reasons "KL0403 the values name the image by its tag" -}}
  {{- if ne $image.pullPolicy "Always" -}}
  {{- $reasons = append $reasons "KL0404 images loaded into the nodes are in no registry to pull from" -}}
  {{- end -}}
  {{- end -}}
  {{- if ne $image.pullPolicy "Always" }}{{ $score = append $score "container-image-pull-policy" }}{{ end -}}
  {{- if gt (len .) 2 -}}
  {{- $reasons = append $reasons (printf "KL0707 %s" (index . 2)) -}}
  {{- $score = append $score "deployment-replicas" -}}
  {{- end -}}
  {{- $own := dict -}}
  {{- with $reasons }}{{ $own = set $own "lint.kedactl.io/ignore" (join "; " .) }}{{ end -}}
  {{- with $score }}{{ $own = set $own "kube-score/ignore" (join "," .) }}{{ end -}}
  {{- with mergeOverwrite $own $root.Values.commonAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
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

{{- /* What every pod has in common: (list . "prometheus" true), true where it asks the API server. */ -}}
{{- define "monitoring.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: {{ index . 2 }}
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
