{{- define "streamproc.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "streamproc.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "streamproc.labels" -}}
{{ include "streamproc.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "streamproc.scheme" -}}
{{ ternary "https" "http" (not (empty .Values.tlsSecret)) }}
{{- end }}

{{/* streamproc.yaml: what the chart sets, over what the user gave. */}}
{{- define "streamproc.document" -}}
{{- $server := dict "listen" "0.0.0.0:4566" }}
{{- if .Values.tlsSecret }}
{{- $server = merge $server (dict "tls_cert" "/etc/streamproc-tls/tls.crt" "tls_key" "/etc/streamproc-tls/tls.key") }}
{{- end }}
{{- $cluster := dict "name" .Values.cluster.name "partitions" (int .Values.cluster.partitions) "token_env" "STREAMPROC_CLUSTER_TOKEN" }}
{{- $_ := set $cluster "bootstrap_servers" (required "cluster.bootstrapServers: name the brokers of your Apache Kafka, k1:9092,k2:9092" .Values.cluster.bootstrapServers) }}
{{- if .Values.cluster.tags }}{{ $_ := set $cluster "tags" .Values.cluster.tags }}{{ end }}
{{- $chart := dict "server" $server "cluster" $cluster "stores" (dict "data_dir" "/var/lib/streamproc/data") }}
{{- if .Values.facesKey.secret }}
{{- $_ := set $chart "faces" (dict "key_file" (printf "/etc/streamproc-faces/%s" .Values.facesKey.key)) }}
{{- end }}
{{- toYaml (mergeOverwrite (deepCopy .Values.node) $chart) }}
{{- end }}
