{{- /* Jobs that find what is annotated, by asking the API server. */ -}}
{{- define "monitoring.scrape.kubernetes" -}}
{{- $namespaces := include "monitoring.namespaces" . -}}
# prometheus.io/scrape, port, path and scheme at a pod.
- job_name: pods
  # What kube-state-metrics and KEDA say of an object carries that object's namespace, not their own.
  honor_labels: true
  kubernetes_sd_configs: [{ role: pod, namespaces: { names: {{ $namespaces }} } }]
  relabel_configs:
    - { action: keep, source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true" }
    - { action: drop, source_labels: [__meta_kubernetes_pod_phase], regex: Pending|Succeeded|Failed|Completed }
    {{- include "monitoring.relabel" "pod" | nindent 4 }}
# The same at a Service, for pods that are not annotated themselves.
- job_name: services
  honor_labels: true
  kubernetes_sd_configs: [{ role: endpointslice, namespaces: { names: {{ $namespaces }} } }]
  relabel_configs:
    - { action: keep, source_labels: [__meta_kubernetes_service_annotation_prometheus_io_scrape], regex: "true" }
    - { action: drop, source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], regex: "true" }
    {{- include "monitoring.relabel" "service" | nindent 4 }}
{{- end -}}

{{- /* Address, path, scheme and labels of what an annotation found; of pods or of Services. */ -}}
{{- define "monitoring.relabel" -}}
{{- $at := printf "__meta_kubernetes_%s_annotation_prometheus_io" . -}}
- { source_labels: [{{ $at }}_scheme], regex: "(https?)", target_label: __scheme__ }
- { source_labels: [{{ $at }}_path], regex: "(.+)", target_label: __metrics_path__ }
- { source_labels: [{{ $at }}_port, __meta_kubernetes_pod_ip], regex: "(\\d+);([^:]+)", replacement: "$2:$1", target_label: __address__ }
- { source_labels: [{{ $at }}_port, __meta_kubernetes_pod_ip], regex: "(\\d+);(.+:.*)", replacement: "[$2]:$1", target_label: __address__ }
- { source_labels: [__meta_kubernetes_namespace], target_label: namespace }
- { source_labels: [__meta_kubernetes_pod_name], target_label: pod }
{{- end -}}

{{- /* Jobs that find pods by the names of headless Services, and the parts of this chart by theirs. */ -}}
{{- define "monitoring.scrape.dns" -}}
{{- $root := . -}}
{{- range .Values.prometheus.targets }}
- job_name: {{ .name }}
  honor_labels: true
  dns_sd_configs: [{ names: ["{{ include "monitoring.abroad" (list $root .name) }}.{{ .namespace }}.svc"], type: A, port: {{ .port }}, refresh_interval: 5s }]
  relabel_configs:
    - { replacement: {{ .namespace }}, target_label: namespace }
{{- end }}
{{- range $name, $port := dict "prometheus" 9090 "alertmanager" 9093 "kube-state-metrics" 8080 "loki" 3100 "grafana" 80 }}
{{- if (index $root.Values $name).enabled }}
- job_name: {{ $name }}
  honor_labels: true
  static_configs: [{ targets: ["{{ $name }}.{{ $root.Release.Namespace }}.svc:{{ $port }}"], labels: { namespace: {{ $root.Release.Namespace }} } }]
{{- end }}
{{- end }}
{{- end -}}
