{{/* Names and labels. Where a component matters the argument is (dict "root" $ "component" "gateway"). */}}

{{- define "chandlery.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Cut at 40, so that the longest suffix still fits into the 63 characters of a label. */}}
{{- define "chandlery.fullname" -}}
{{- $name := include "chandlery.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- $full = .Values.fullnameOverride | default $full | trunc 40 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) -}}
{{- fail (printf "%s can not be the name of a Service, which starts with a letter and has no dot: set fullnameOverride" $full) -}}
{{- end -}}
{{- $full -}}
{{- end }}

{{- define "chandlery.componentName" -}}
{{ include "chandlery.fullname" .root }}-{{ .component }}
{{- end }}

{{/* A Deployment's selector can never be changed: only what stays the same for the life of a release may be here. */}}
{{- define "chandlery.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chandlery.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "chandlery.labels" -}}
{{ include "chandlery.selectorLabels" . }}
app.kubernetes.io/part-of: chandlery
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "chandlery.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "chandlery.serviceAccountName" -}}
{{- if .root.Values.serviceAccounts.create -}}
{{ include "chandlery.componentName" . }}
{{- else -}}
{{ .root.Values.serviceAccounts.name }}
{{- end -}}
{{- end }}
