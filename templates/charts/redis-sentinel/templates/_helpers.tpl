{{- define "redis.name" -}}
{{- default "redis" .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- /* The release's name where it says redis already. Room is left for "-headless" and for "-node-" and an ordinal. */ -}}
{{- define "redis.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "redis.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "redis.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "redis.selector" -}}
app.kubernetes.io/name: {{ include "redis.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "redis.labels" -}}
{{ include "redis.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "redis.annotations" -}}
{{- with .Values.commonAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "redis.image" -}}
{{- $name := .repository -}}
{{- if .registry }}{{ $name = printf "%s/%s" .registry .repository }}{{ end -}}
{{- if .digest }}{{ printf "%s@%s" $name .digest }}{{ else }}{{ printf "%s:%s" $name (.tag | toString) }}{{ end -}}
{{- end -}}

{{- define "redis.secret" -}}
{{- default (include "redis.fullname" .) .Values.auth.existingSecret -}}
{{- end -}}

{{- define "redis.quorum" -}}
{{- if .Values.sentinel.quorum -}}
{{- .Values.sentinel.quorum | int -}}
{{- else -}}
{{- add1 (div (int .Values.replica.replicaCount) 2) -}}
{{- end -}}
{{- end -}}

{{- /* What cannot work is refused before anything is written. */ -}}
{{- define "redis.check" -}}
{{- $count := int .Values.replica.replicaCount -}}
{{- if or (lt $count 1) (gt $count 9) -}}
{{- fail (printf "replica.replicaCount must be 1 to 9, not %d" $count) -}}
{{- end -}}
{{- if and (not .Values.sentinel.enabled) (gt $count 1) -}}
{{- fail (printf "replica.replicaCount is %d without Sentinels: nobody would say which of them is the master" $count) -}}
{{- end -}}
{{- if gt (int (include "redis.quorum" .)) $count -}}
{{- fail (printf "sentinel.quorum is %s with %d Sentinels: no fail-over could ever be agreed on" (include "redis.quorum" .) $count) -}}
{{- end -}}
{{- if not (has .Values.replica.podAntiAffinityPreset (list "" "soft" "hard")) -}}
{{- fail (printf "replica.podAntiAffinityPreset must be soft, hard or empty, not %q" .Values.replica.podAntiAffinityPreset) -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9._-]+$" .Values.sentinel.masterSet) -}}
{{- fail (printf "sentinel.masterSet must be letters, digits, dots, dashes and underscores, not %q" .Values.sentinel.masterSet) -}}
{{- end -}}
{{- end -}}
