{{/* Where PostgreSQL, RabbitMQ, keys and tokens come from: who has them, and what a pod is told of it. */}}

{{/* Whether nothing at all was given that has to be: then it is a trial, and the chart brings everything itself. */}}
{{- define "chandlery.isTrial" -}}
{{- with .Values -}}
{{- $places := list .existingSecret.name .database.existingSecret.name .amqp.existingSecret.name .encryption.existingSecret.name .auth.existingSecret.name -}}
{{- $given := list .database.source .amqp.source .database.url .amqp.url .encryption.keys .auth.tokens .encryption.generate .auth.generate -}}
{{- if not (without (concat $places $given (values .database.urls)) "" nil false (list) | compact) }}true{{ end -}}
{{- end -}}
{{- end }}

{{- define "chandlery.databaseSource" -}}
{{ .Values.database.source | default (empty (include "chandlery.isTrial" .) | ternary "external" "builtIn") }}
{{- end }}

{{- define "chandlery.amqpSource" -}}
{{ .Values.amqp.source | default (empty (include "chandlery.isTrial" .) | ternary "external" "builtIn") }}
{{- end }}

{{/* Whether PostgreSQL comes with the release itself, so that it is not there yet when its hooks before the install run. */}}
{{- define "chandlery.bringsDatabase" -}}
{{- if ne (include "chandlery.databaseSource" .) "external" }}true{{ end -}}
{{- end }}

{{- define "chandlery.generatesKeys" -}}
{{- if or .Values.encryption.generate (include "chandlery.isTrial" .) }}true{{ end -}}
{{- end }}

{{- define "chandlery.generatesToken" -}}
{{- if and (not (include "chandlery.isInCluster" .)) (or .Values.auth.generate (include "chandlery.isTrial" .)) }}true{{ end -}}
{{- end }}

{{/* PostgreSQL and RabbitMQ of the release. Short, since operators and StatefulSets put more behind them. */}}
{{- define "chandlery.postgresName" -}}
{{ include "chandlery.fullname" . }}-postgres
{{- end }}
{{- define "chandlery.busName" -}}
{{ include "chandlery.fullname" . }}-bus
{{- end }}

{{/* The Secret with the keys from encryption.keys, and the one with a key that the chart has made. */}}
{{- define "chandlery.encryptionName" -}}
{{ include "chandlery.fullname" . }}-encryption
{{- end }}
{{- define "chandlery.generatedKeyName" -}}
{{ include "chandlery.fullname" . }}-generated-key
{{- end }}
{{- define "chandlery.generatedTokenName" -}}
{{ include "chandlery.fullname" . }}-token
{{- end }}

{{/* The Secret that holds the values of the chart that are secret. */}}
{{- define "chandlery.secretName" -}}
{{ .Values.existingSecret.name | default (include "chandlery.fullname" .) }}
{{- end }}

{{/* {name, key} of this component's URL of the database. Not for cloudNativePg, which has no such key with TLS. */}}
{{- define "chandlery.databaseReference" -}}
{{- $own := .root.Values.database.existingSecret -}}
{{- $name := eq .component "migrate" | ternary (include "chandlery.migrationSecretName" .root) (include "chandlery.secretName" .root) -}}
{{- if eq (include "chandlery.databaseSource" .root) "builtIn" -}}
{name: {{ include "chandlery.postgresName" .root | quote }}, key: uri}
{{- else if $own.name -}}
{name: {{ $own.name | quote }}, key: {{ index $own.keys .component | default $own.key | quote }}}
{{- else -}}
{name: {{ $name | quote }}, key: {{ include "chandlery.databaseKey" . | quote }}}
{{- end -}}
{{- end }}

{{/*
The variables with which this component finds PostgreSQL. Kubernetes puts a name and a password of an operator's Secret in by $(…);
both have letters and digits alone.
*/}}
{{- define "chandlery.databaseEnvironment" -}}
{{- if eq (include "chandlery.databaseSource" .root) "cloudNativePg" -}}
{{- $cluster := include "chandlery.postgresName" .root -}}
{{- $host := printf "%s-rw.%s.svc" $cluster .root.Release.Namespace -}}
- name: POSTGRESQL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $cluster }}-app, key: username}}
- name: POSTGRESQL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $cluster }}-app, key: password}}
- name: CHANDLERY_DATABASE_URL
  value: {{ printf "postgresql://$(POSTGRESQL_USERNAME):$(POSTGRESQL_PASSWORD)@%s:5432/%s?sslmode=verify-full&sslrootcert=/etc/chandlery/database/ca.crt" $host .root.Values.database.cloudNativePg.database | quote }}
{{- else -}}
- name: CHANDLERY_DATABASE_URL
  valueFrom: {secretKeyRef: {{ include "chandlery.databaseReference" . }}}
{{- end -}}
{{- end }}

{{- define "chandlery.amqpReference" -}}
{{- $own := .Values.amqp.existingSecret -}}
{{- if eq (include "chandlery.amqpSource" .) "builtIn" -}}
{name: {{ include "chandlery.busName" . | quote }}, key: uri}
{{- else if $own.name -}}
{name: {{ $own.name | quote }}, key: {{ $own.key | quote }}}
{{- else -}}
{name: {{ include "chandlery.secretName" . | quote }}, key: {{ .Values.existingSecret.keys.amqpUrl | quote }}}
{{- end -}}
{{- end }}

{{/* The variables with which a service finds RabbitMQ. */}}
{{- define "chandlery.amqpEnvironment" -}}
{{- if eq (include "chandlery.amqpSource" .) "rabbitmqCluster" -}}
{{- $cluster := include "chandlery.busName" . -}}
{{- $hasTls := include "chandlery.busTlsSecret" . -}}
- name: RABBITMQ_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $cluster }}-default-user, key: username}}
- name: RABBITMQ_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $cluster }}-default-user, key: password}}
- name: CHANDLERY_AMQP_URL
  value: {{ printf "%s://$(RABBITMQ_USERNAME):$(RABBITMQ_PASSWORD)@%s.%s.svc:%s" (empty $hasTls | ternary "amqp" "amqps") $cluster .Release.Namespace (empty $hasTls | ternary "5672" "5671") | quote }}
{{- else -}}
- name: CHANDLERY_AMQP_URL
  valueFrom: {secretKeyRef: {{ include "chandlery.amqpReference" . }}}
{{- end }}
{{- if include "chandlery.amqpTls" . }}
- {name: CHANDLERY_AMQP_CA_FILE, value: /etc/chandlery/amqp/ca.crt}
{{- if .Values.amqp.tls.clientCertificate }}
- {name: CHANDLERY_AMQP_CERT_FILE, value: /etc/chandlery/amqp/tls.crt}
- {name: CHANDLERY_AMQP_KEY_FILE, value: /etc/chandlery/amqp/tls.key}
{{- end }}
{{- end }}
{{- end }}

{{- define "chandlery.encryptionReference" -}}
{{- $own := .Values.encryption.existingSecret -}}
{{- if include "chandlery.generatesKeys" . -}}
{name: {{ include "chandlery.generatedKeyName" . | quote }}, key: encryption-keys}
{{- else if $own.name -}}
{name: {{ $own.name | quote }}, key: {{ $own.key | quote }}}
{{- else if .Values.existingSecret.name -}}
{name: {{ .Values.existingSecret.name | quote }}, key: {{ .Values.existingSecret.keys.encryptionKeys | quote }}}
{{- else -}}
{name: {{ include "chandlery.encryptionName" . | quote }}, key: {{ .Values.existingSecret.keys.encryptionKeys | quote }}}
{{- end -}}
{{- end }}

{{/*
Whether there is a token file: not with platform kubernetes, where users are the cluster's, and not where an identity provider is enough,
which it is when nothing says where tokens are.
*/}}
{{- define "chandlery.hasTokenFile" -}}
{{- if not (include "chandlery.isInCluster" .) -}}
{{- $inOne := and .Values.existingSecret.name .Values.existingSecret.keys.tokenFile -}}
{{- if or $inOne .Values.auth.existingSecret.name .Values.auth.tokens (include "chandlery.generatesToken" .) (empty (include "chandlery.usesIdentityProvider" .)) }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* The Secret with the token file, and its key there. */}}
{{- define "chandlery.tokenSecretName" -}}
{{- if include "chandlery.generatesToken" . -}}
{{ include "chandlery.generatedTokenName" . }}
{{- else -}}
{{ .Values.auth.existingSecret.name | default (include "chandlery.secretName" .) }}
{{- end -}}
{{- end }}
{{- define "chandlery.tokenSecretKey" -}}
{{- if include "chandlery.generatesToken" . -}}
tokens.csv
{{- else -}}
{{ .Values.auth.existingSecret.name | empty | ternary (.Values.existingSecret.keys.tokenFile | default "tokens.csv") .Values.auth.existingSecret.key }}
{{- end -}}
{{- end }}

{{/* The volume with the token file, as tokens.csv. */}}
{{- define "chandlery.tokenVolume" -}}
- name: tokens
  secret:
    secretName: {{ include "chandlery.tokenSecretName" . | quote }}
    defaultMode: 0440
    items: [{key: {{ include "chandlery.tokenSecretKey" . | quote }}, path: tokens.csv}]
{{- end }}

{{/* The Secret with the certificate of RabbitMQ that its operator runs; empty without TLS. */}}
{{- define "chandlery.busTlsSecret" -}}
{{- if eq (include "chandlery.amqpSource" .) "rabbitmqCluster" -}}
{{- with .Values.amqp.rabbitmqCluster.tls -}}
{{- if eq .source "certManager" -}}
{{ include "chandlery.busName" $ }}-tls
{{- else if eq .source "secret" -}}
{{ required "amqp.rabbitmqCluster.tls.secretName is missing: with source secret it names the Secret with tls.crt, tls.key and ca.crt" .secretName }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What of which Secret is mounted for TLS to RabbitMQ, as a volume source; empty without. Keys of servers stay with them. */}}
{{- define "chandlery.amqpTls" -}}
{{- if .Values.amqp.tls.secretName -}}
secret: {secretName: {{ .Values.amqp.tls.secretName | quote }}, defaultMode: 0440}
{{- else if include "chandlery.busTlsSecret" . -}}
secret: {secretName: {{ include "chandlery.busTlsSecret" . | quote }}, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end -}}
{{- end }}

{{/* The same for PostgreSQL and this component. */}}
{{- define "chandlery.databaseTls" -}}
{{- $tls := .root.Values.database.tls -}}
{{- $given := index $tls.secretNames .component | default $tls.secretName -}}
{{- if $given -}}
secret: {secretName: {{ $given | quote }}, defaultMode: 0440}
{{- else if eq (include "chandlery.databaseSource" .root) "cloudNativePg" -}}
secret: {secretName: {{ include "chandlery.postgresName" .root }}-ca, defaultMode: 0440, items: [{key: ca.crt, path: ca.crt}]}
{{- end -}}
{{- end }}
