{{/* Who may talk to whom, where network policies are in force. */}}

{{/* A rule of egress from {to, ports}; without `to` it is any place, without ports any port: (dict "to" … "ports" …). */}}
{{- define "chandlery.egressRule" -}}
{{- $rule := dict -}}
{{- if .to }}{{ $_ := set $rule "to" .to }}{{ end -}}
{{- $ports := list -}}
{{- range .ports }}{{ $ports = append $ports (dict "protocol" "TCP" "port" (int64 .)) }}{{ end -}}
{{- if $ports }}{{ $_ := set $rule "ports" $ports }}{{ end -}}
- {{ toJson $rule }}
{{- end }}

{{/* What pods of this component talk to: (dict "root" $ "component" "gateway"); migrate, uninstall and test are components, too. */}}
{{- define "chandlery.egress" -}}
{{- $policies := .root.Values.networkPolicies -}}
{{- $isWorker := has .component (list "provisioner" "binder" "syncer") -}}
{{- $isService := or $isWorker (eq .component "gateway") -}}
{{- $dns := dict "ports" (list (dict "protocol" "UDP" "port" (int64 $policies.dns.port)) (dict "protocol" "TCP" "port" (int64 $policies.dns.port))) -}}
{{- with $policies.dns.to }}{{ $_ := set $dns "to" . }}{{ end -}}
- {{ toJson $dns }}
{{- if ne .component "test" }}
{{ include "chandlery.egressRule" $policies.postgresql }}
{{- end }}
{{- if $isService }}
{{ include "chandlery.egressRule" $policies.rabbitmq }}
{{- if include "chandlery.usesKeyService" .root }}
{{ include "chandlery.egressRule" $policies.keyService }}
{{- end }}
{{- if include "chandlery.tracesTo" .root }}
{{ include "chandlery.egressRule" $policies.telemetry }}
{{- end }}
{{- end }}
{{- if and (eq .component "gateway") (include "chandlery.usesIdentityProvider" .root) }}
{{ include "chandlery.egressRule" $policies.identityProvider }}
{{- end }}
{{- if $isWorker }}
{{ include "chandlery.egressRule" $policies.brokers }}
{{- if .root.Values.networkPolicies.helmTest }}
- {{ dict "to" (list (dict "podSelector" (dict "matchLabels" (include "chandlery.selectorLabels" (dict "root" .root "component" "test") | fromYaml)))) "ports" (list (dict "protocol" "TCP" "port" 8082)) | toJson }}
{{- end }}
{{- end }}
{{- if and (include "chandlery.isInCluster" .root) (or $isService (eq .component "test")) }}
{{ include "chandlery.egressRule" $policies.kubeApiserver }}
{{- end }}
{{- if and (eq .component "test") (not (include "chandlery.isInCluster" .root)) }}
- {{ dict "to" (list (dict "podSelector" (dict "matchLabels" (include "chandlery.selectorLabels" (dict "root" .root "component" "gateway") | fromYaml)))) "ports" (list (dict "protocol" "TCP" "port" (include "chandlery.portName" (dict "root" .root "component" "gateway")))) | toJson }}
{{- end }}
{{- if $isService }}
{{- range $policies.extraEgress }}
- {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Who talks to pods of this component. */}}
{{- define "chandlery.ingress" -}}
{{- $values := .root.Values -}}
{{- $policies := $values.networkPolicies -}}
{{- if has .component (list "gateway" "provisioner" "binder" "syncer") }}
# The kubelet, which some networks do not let through by themselves; there is nothing to learn from probes.
- ports:
    - {port: probes, protocol: TCP}
{{- if eq .component "gateway" }}
- ports:
    - {port: {{ include "chandlery.portName" . }}, protocol: TCP}
  {{- with and $policies.enabled $policies.gatewayFrom }}
  from:
    {{- toYaml . | nindent 4 }}
    {{- if and $policies.helmTest (not (include "chandlery.isInCluster" $.root)) }}
    - podSelector:
        matchLabels:
          {{- include "chandlery.selectorLabels" (dict "root" $.root "component" "test") | nindent 10 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- if $values.metrics.enabled }}
- ports:
    - {port: metrics, protocol: TCP}
  from:
    {{- toYaml $values.metrics.allowFrom | nindent 4 }}
{{- end }}
{{- end }}
{{- if and (eq .component "test") $policies.helmTest }}
- ports:
    - {port: broker, protocol: TCP}
  from:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ include "chandlery.name" .root | quote }}
          app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}
{{- end }}

{{- define "chandlery.refuseOfPolicies" -}}
{{- if .Values.networkPolicies.enabled -}}
{{- if not .Values.networkPolicies.brokers.to -}}
{{- fail "networkPolicies.brokers.to is missing: name where service brokers are, as peers of a NetworkPolicy, e.g. [{ipBlock: {cidr: 10.20.0.0/16}}, {namespaceSelector: {matchLabels: {team: databases}}}]; workers reach nothing else" -}}
{{- end -}}
{{- if and .Values.metrics.enabled (not .Values.metrics.allowFrom) -}}
{{- fail "metrics.allowFrom is missing: with networkPolicies nobody reaches the metrics but who is named there, e.g. [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Whether keys are kept somewhere else, and whether users come from somewhere else. */}}
{{- define "chandlery.usesKeyService" -}}
{{- if or (has "aws-kms" .Values.encryption.providers) (contains "aws-kms" (.Values.settings.extra.CHANDLERY_ENCRYPTION_PROVIDERS | default "")) }}true{{ end -}}
{{- end }}
{{- define "chandlery.usesIdentityProvider" -}}
{{- if or .Values.auth.oidc.issuerUrl .Values.settings.extra.CHANDLERY_OIDC_ISSUER_URL .Values.settings.extra.CHANDLERY_AUTHENTICATION_CONFIG }}true{{ end -}}
{{- end }}

{{/* Where traces go. */}}
{{- define "chandlery.tracesTo" -}}
{{ .Values.tracing.endpoint }}
{{- end }}
