{{/* Settings that have values of their own, beside settings: keys elsewhere, users from elsewhere, audit, traces. */}}

{{/* As a map; what is as it would be anyway is left out. */}}
{{- define "chandlery.features" -}}
{{- $settings := dict -}}
{{- with .Values.encryption -}}
{{- with .providers }}{{ $_ := set $settings "ENCRYPTION_PROVIDERS" (join "," .) }}{{ end -}}
{{- with .awsKms.keyId }}{{ $_ := set $settings "AWS_KMS_KEY_ID" . }}{{ end -}}
{{- with .awsKms.region }}{{ $_ := set $settings "AWS_KMS_REGION" . }}{{ end -}}
{{- with .awsKms.endpointUrl }}{{ $_ := set $settings "AWS_KMS_ENDPOINT_URL" . }}{{ end -}}
{{- if .sealSpecs }}{{ $_ := set $settings "SEAL_SPECS" "true" }}{{ end -}}
{{- end -}}
{{- with .Values.auth.oidc -}}
{{- with .issuerUrl }}{{ $_ := set $settings "OIDC_ISSUER_URL" . }}{{ end -}}
{{- with .clientId }}{{ $_ := set $settings "OIDC_CLIENT_ID" . }}{{ end -}}
{{- with .usernameClaim }}{{ $_ := set $settings "OIDC_USERNAME_CLAIM" . }}{{ end -}}
{{- with .usernamePrefix }}{{ $_ := set $settings "OIDC_USERNAME_PREFIX" . }}{{ end -}}
{{- with .groupsClaim }}{{ $_ := set $settings "OIDC_GROUPS_CLAIM" . }}{{ end -}}
{{- with .groupsPrefix }}{{ $_ := set $settings "OIDC_GROUPS_PREFIX" . }}{{ end -}}
{{- with .signingAlgs }}{{ $_ := set $settings "OIDC_SIGNING_ALGS" (join "," .) }}{{ end -}}
{{- $claims := list -}}
{{- range $claim, $value := .requiredClaims }}{{ $claims = append $claims (printf "%s=%s" $claim $value) }}{{ end -}}
{{- with $claims }}{{ $_ := set $settings "OIDC_REQUIRED_CLAIMS" (join "," .) }}{{ end -}}
{{- end -}}
{{- with .Values.audit -}}
{{- if not .table }}{{ $_ := set $settings "AUDIT_TABLE" "false" }}{{ end -}}
{{- if .log }}{{ $_ := set $settings "AUDIT_LOG" "-" }}{{ end -}}
{{- if ne .unwritable "count" }}{{ $_ := set $settings "AUDIT_UNWRITABLE" .unwritable }}{{ end -}}
{{- if ne (int64 .hours) 720 }}{{ $_ := set $settings "AUDIT_HOURS" (int64 .hours | toString) }}{{ end -}}
{{- end -}}
{{- range $name := keys $settings -}}
{{- if hasKey $.Values.settings.extra (printf "CHANDLERY_%s" $name) -}}
{{- fail (printf "settings.extra.CHANDLERY_%s must not be set, since a value of the chart sets it: encryption, auth.oidc or audit" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $settings }}
CHANDLERY_{{ $name }}: {{ $value | quote }}
{{- end }}
{{- with .Values.tracing }}
{{- if .endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ .endpoint | quote }}
OTEL_TRACES_SAMPLER: parentbased_traceidratio
OTEL_TRACES_SAMPLER_ARG: {{ .ratio | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "chandlery.refuseOfFeatures" -}}
{{- $aws := has "aws-kms" .Values.encryption.providers -}}
{{- if and $aws (not .Values.encryption.awsKms.keyId) -}}
{{- fail "encryption.awsKms.keyId is missing: with the provider aws-kms it names the key by id, ARN or alias" -}}
{{- end -}}
{{- if and .Values.encryption.awsKms.keyId (not $aws) -}}
{{- fail "encryption.providers lacks aws-kms, so encryption.awsKms.keyId would not be used: set it to [aws-kms], or to [aws-kms, keys] while old keys are still needed" -}}
{{- end -}}
{{- with .Values.auth.oidc -}}
{{- if and .issuerUrl (not .clientId) -}}
{{- fail "auth.oidc.clientId is missing: it is the audience that tokens have to be for" -}}
{{- end -}}
{{- if and .issuerUrl (include "chandlery.isInCluster" $) -}}
{{- fail "auth.oidc must not be set with platform kubernetes: users are the cluster's" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The policy of the audit log is read again when it changes; nothing restarts. */}}
{{- define "chandlery.auditPolicyName" -}}
{{- if .Values.audit.policy }}{{ include "chandlery.fullname" . }}-audit-policy{{ end -}}
{{- end }}
