{{/* What is secret: where it comes from, and what is said when it is missing. */}}

{{/* The Secret for the migration Job: see migration-secret.yaml. */}}
{{- define "chandlery.migrationSecretName" -}}
{{ .Values.existingSecret.name | default (printf "%s-migrate" (include "chandlery.fullname" .)) }}
{{- end }}

{{/*
Forms are checked here and not in values.schema.json, because Helm's message about a schema shows the value that does not
fit. These sentences go to a terminal or to the log of a pipeline, so they only name it.
*/}}
{{- define "chandlery.databaseUrl" -}}
{{- $url := required "database.url is missing: set it to postgresql://USER:PASSWORD@HOST:5432/DATABASE, name a Secret in database.existingSecret.name or existingSecret.name, or set database.source to cloudNativePg" .Values.database.url -}}
{{- if not (regexMatch "^postgres(ql)?(\\+asyncpg)?://\\S+$" $url) -}}
{{- fail "database.url has the wrong form: it has to start with postgresql:// and contain no space" -}}
{{- end -}}
{{- $url -}}
{{- end }}

{{/* Under which key the URL of this component's database is: that of its own role, or the one for all. */}}
{{- define "chandlery.databaseKey" -}}
{{- $keys := .root.Values.existingSecret.keys -}}
{{- if .root.Values.existingSecret.name -}}
{{- index $keys.databaseUrls .component | default $keys.databaseUrl -}}
{{- else if index .root.Values.database.urls .component -}}
{{- printf "%s-%s" $keys.databaseUrl .component -}}
{{- else -}}
{{- $keys.databaseUrl -}}
{{- end -}}
{{- end }}

{{/* The URL of this component's own database role. */}}
{{- define "chandlery.ownDatabaseUrl" -}}
{{- $url := index .root.Values.database.urls .component -}}
{{- if not (regexMatch "^postgres(ql)?(\\+asyncpg)?://\\S+$" $url) -}}
{{- fail (printf "database.urls.%s has the wrong form: it has to start with postgresql:// and contain no space" .component) -}}
{{- end -}}
{{- $url -}}
{{- end }}

{{- define "chandlery.amqpUrl" -}}
{{- $url := required "amqp.url is missing: set it to amqps://USER:PASSWORD@HOST:5671/VHOST, name a Secret in amqp.existingSecret.name or existingSecret.name, or set amqp.source to rabbitmqCluster" .Values.amqp.url -}}
{{- if not (regexMatch "^amqps?://\\S+$" $url) -}}
{{- fail "amqp.url has the wrong form: it has to start with amqps:// or amqp:// and contain no space" -}}
{{- end -}}
{{- $url -}}
{{- end }}

{{- define "chandlery.encryptionKeys" -}}
{{- $names := list -}}
{{- range $index, $key := .Values.encryption.keys -}}
{{- if not (regexMatch "^[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=$" $key) -}}
{{- fail (printf "encryption.keys[%d] has the wrong form: it has to be NAME:BASE64 with 32 bytes in base64 (openssl rand -base64 32)" $index) -}}
{{- end -}}
{{- $names = append $names (splitList ":" $key | first) -}}
{{- end -}}
{{- if ne (len $names) (uniq $names | len) -}}
{{- fail "encryption.keys has two keys of the same name: what was encrypted with one of them could not be read" -}}
{{- end -}}
{{- required "encryption.keys is missing: give at least one NAME:BASE64 with 32 bytes in base64 (openssl rand -base64 32), name a Secret in encryption.existingSecret.name or existingSecret.name, or set encryption.generate" (join "," .Values.encryption.keys) }}
{{- end }}

{{/* One line a token, in the order of the Kubernetes static token file. */}}
{{- define "chandlery.tokenFile" -}}
{{- if not .Values.auth.tokens -}}
{{- fail "auth.tokens is missing: give at least one {token, user, groups}, name a Secret in auth.existingSecret.name or existingSecret.name, or set auth.generate" -}}
{{- end -}}
{{- $tokens := list -}}
{{- range $index, $entry := .Values.auth.tokens -}}
{{- if has $entry.token $tokens -}}
{{- fail (printf "auth.tokens[%d].token is the same as one before it: each user needs a token of their own (openssl rand -hex 32)" $index) -}}
{{- end -}}
{{- $tokens = append $tokens $entry.token -}}
{{- if not (regexMatch "^[!#-+\\--\\[\\]-~]{16,}$" $entry.token) -}}
{{- fail (printf "auth.tokens[%d].token has the wrong form: it needs 16 characters or more, and no space, comma, quote or backslash (openssl rand -hex 32)" $index) -}}
{{- end -}}
{{- printf "%q,%q,%q,%q\n" .token .user (.uid | default .user) (join "," .groups) -}}
{{- end -}}
{{- end }}

{{/* Changes when what is secret for this component changes. An existing Secret is not known here: see README.md. */}}
{{- define "chandlery.secretChecksum" -}}
{{- $component := .component -}}
{{- with .root -}}
{{- $needs := include "chandlery.neededInline" . | fromYaml -}}
{{- if and .Values.existingSecret.name (not (without (values $needs) false)) -}}
{{- toJson .Values.existingSecret | sha256sum -}}
{{- else -}}
{{- $places := list .Values.existingSecret .Values.database.existingSecret .Values.amqp.existingSecret .Values.encryption.existingSecret -}}
{{- $shared := list -}}
{{- if $needs.database }}{{ $shared = append $shared (include "chandlery.databaseUrl" .) }}{{ end -}}
{{- if $needs.amqp }}{{ $shared = append $shared (include "chandlery.amqpUrl" .) }}{{ end -}}
{{- if $needs.encryption }}{{ $shared = append $shared (include "chandlery.encryptionKeys" .) }}{{ end -}}
{{- $tokens := "" -}}
{{- if and (eq $component "gateway") (not (include "chandlery.isInCluster" .)) -}}
{{- $tokens = $needs.tokens | ternary (include "chandlery.inlineTokenFile" .) (toJson .Values.auth.existingSecret) -}}
{{- end -}}
{{- $own := index .Values.database.urls $component -}}
{{- concat $shared (list $tokens $own) $places | toJson | sha256sum -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The token file where tokens are among the values, and nothing elsewhere. */}}
{{- define "chandlery.inlineTokenFile" -}}
{{- if (include "chandlery.neededInline" . | fromYaml).tokens }}{{ include "chandlery.tokenFile" . }}{{ end -}}
{{- end }}
