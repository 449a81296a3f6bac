{{/* What pods of the chart have in common. */}}

{{- define "chandlery.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
No token comes by itself: who has rights in the cluster mounts one (chandlery.clusterTokenVolume). Service links would set
variables such as CHANDLERY_PORT, which are ours.
*/}}
{{- define "chandlery.podDefaults" -}}
{{- include "chandlery.podDefaultsOf" (dict "root" . "component" "migration") -}}
{{- end }}

{{/* The same with what is said of one component: (dict "root" $ "component" "gateway"). */}}
{{- define "chandlery.podDefaultsOf" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "chandlery.placement" . }}
{{ . }}
{{- end }}
{{- end }}

{{- define "chandlery.settings" -}}
CHANDLERY_LOG_LEVEL: {{ .Values.settings.logLevel | quote }}
CHANDLERY_LOG_FORMAT: {{ .Values.settings.logFormat | quote }}
{{- if include "chandlery.isInCluster" . }}
CHANDLERY_PLATFORM: kubernetes
{{- end }}
CHANDLERY_LOG_LEVELS_FILE: /etc/chandlery/log-levels/levels
CHANDLERY_BROKER_CONCURRENCY: {{ .Values.settings.brokerConcurrency | int64 | quote }}
CHANDLERY_OSB_TIMEOUT_SECONDS: {{ .Values.settings.osbTimeoutSeconds | int64 | quote }}
{{- with .Values.settings.clusterId }}
CHANDLERY_CLUSTER_ID: {{ . | quote }}
{{- end }}
{{- if and (eq (include "chandlery.amqpSource" .) "rabbitmqCluster") (gt (int .Values.amqp.rabbitmqCluster.replicas) 1) (not .Values.settings.extra.CHANDLERY_AMQP_QUEUE_TYPE) }}
# The URL names the Service of all nodes, from which nobody sees that there are several.
CHANDLERY_AMQP_QUEUE_TYPE: quorum
{{- end }}
{{- with include "chandlery.features" . | trim }}
{{ . }}
{{- end }}
{{- range $name, $value := .Values.settings.extra }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "chandlery.secretEnvironment" -}}
{{ include "chandlery.databaseEnvironment" . }}
{{ include "chandlery.amqpEnvironment" .root }}
- name: CHANDLERY_ENCRYPTION_KEYS
  valueFrom: {secretKeyRef: {{ include "chandlery.encryptionReference" .root }}}
{{- end }}

{{- define "chandlery.tlsMounts" -}}
{{- if include "chandlery.databaseTls" . }}
- {name: database-tls, mountPath: /etc/chandlery/database, readOnly: true}
{{- end }}
{{- if and (ne .component "migrate") (include "chandlery.amqpTls" .root) }}
- {name: amqp-tls, mountPath: /etc/chandlery/amqp, readOnly: true}
{{- end }}
{{- end }}

{{- define "chandlery.tlsVolumes" -}}
{{- with include "chandlery.databaseTls" . }}
- name: database-tls
  {{ . }}
{{- end }}
{{- if and (ne .component "migrate") (include "chandlery.amqpTls" .root) }}
- name: amqp-tls
  {{ include "chandlery.amqpTls" .root }}
{{- end }}
{{- end }}

{{/* Where this component listens. Probes have a port of their own, where they compete with nobody's requests. */}}
{{- define "chandlery.listenEnvironment" -}}
{{- if eq .component "gateway" -}}
- {name: CHANDLERY_HOST, value: "0.0.0.0"}
- {name: CHANDLERY_PORT, value: "8080"}
{{- if include "chandlery.hasTokenFile" .root }}
- {name: CHANDLERY_TOKEN_FILE, value: /etc/chandlery/tokens/tokens.csv}
{{- end }}
# Requests still arrive until every node has taken the endpoint away.
- {name: CHANDLERY_SHUTDOWN_DELAY_SECONDS, value: {{ .root.Values.gateway.shutdownDelaySeconds | quote }}}
{{- if include "chandlery.auditPolicyName" .root }}
- {name: CHANDLERY_AUDIT_POLICY_FILE, value: /etc/chandlery/audit/policy.yaml}
{{- end }}
{{- if include "chandlery.makesCertificate" .root }}
- {name: CHANDLERY_SERVING_CERT_SECRET, value: {{ include "chandlery.servingSecretName" .root }}}
- {name: CHANDLERY_SERVING_SERVICE, value: {{ include "chandlery.componentName" . }}}
{{- end }}
{{- if include "chandlery.tlsSecretName" .root }}
- {name: CHANDLERY_TLS_CERT_FILE, value: /etc/chandlery/tls/tls.crt}
- {name: CHANDLERY_TLS_KEY_FILE, value: /etc/chandlery/tls/tls.key}
{{- end }}
{{ end -}}
- {name: CHANDLERY_PROBE_HOST, value: "0.0.0.0"}
- {name: CHANDLERY_PROBE_PORT, value: "8081"}
{{- with .root.Values.metrics }}
{{- if .enabled }}
- {name: CHANDLERY_METRICS_HOST, value: "0.0.0.0"}
- {name: CHANDLERY_METRICS_PORT, value: {{ .port | int64 | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The port of the gateway's API. */}}
{{- define "chandlery.portName" -}}
{{- if or (include "chandlery.isInCluster" .root) (include "chandlery.tlsSecretName" .root) -}}
https
{{- else -}}
http
{{- end -}}
{{- end }}

{{/* The port of its Service. */}}
{{- define "chandlery.servicePort" -}}
{{ .Values.gateway.service.port | int64 | default (eq .Values.platform "kubernetes" | ternary 443 8080) }}
{{- end }}

{{/* Liveness never looks at the database or the bus: a restart would not bring them back. */}}
{{- define "chandlery.probes" -}}
{{- with .root.Values.probes -}}
startupProbe:
  httpGet: {path: /livez, port: probes, scheme: HTTP}
  {{- toYaml .startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: probes, scheme: HTTP}
  {{- toYaml .liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: probes, scheme: HTTP}
  {{- toYaml .readiness | nindent 2 }}
{{- end }}
{{- end }}
