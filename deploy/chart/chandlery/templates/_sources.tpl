{{/* Which secrets are expected among the values, and what is said when one has two sources. */}}

{{/* {database, amqp, encryption, tokens}: true for each that no Secret and nothing of the release itself provides. */}}
{{- define "chandlery.neededInline" -}}
{{- $all := .Values.existingSecret.name -}}
database: {{ not (or $all .Values.database.existingSecret.name (include "chandlery.bringsDatabase" .)) }}
amqp: {{ not (or $all .Values.amqp.existingSecret.name (ne (include "chandlery.amqpSource" .) "external")) }}
encryption: {{ not (or $all .Values.encryption.existingSecret.name (include "chandlery.generatesKeys" .)) }}
tokens: {{ not (or $all .Values.auth.existingSecret.name (include "chandlery.generatesToken" .) (empty (include "chandlery.hasTokenFile" .))) }}
{{- end }}

{{/* Two sources for one secret are a mistake: nobody could tell which one is used. */}}
{{- define "chandlery.refuseTwoSources" -}}
{{- $urls := list -}}
{{- if .Values.database.url }}{{ $urls = append $urls "database.url" }}{{ end -}}
{{- range $component, $url := .Values.database.urls }}{{ if $url }}{{ $urls = append $urls (printf "database.urls.%s" $component) }}{{ end }}{{ end -}}
{{- $amqp := empty .Values.amqp.url | ternary (list) (list "amqp.url") -}}
{{- $keys := empty .Values.encryption.keys | ternary (list) (list "encryption.keys") -}}
{{- $tokens := empty .Values.auth.tokens | ternary (list) (list "auth.tokens") -}}
{{- $inline := concat $urls $amqp $keys $tokens -}}
{{- if and .Values.existingSecret.name $inline -}}
{{- fail (printf "existingSecret.name is set, so %s must not be set: everything secret comes from that Secret" (join ", " $inline)) -}}
{{- end -}}
{{- include "chandlery.refuseBoth" (dict "secret" .Values.database.existingSecret.name "name" "database.existingSecret.name" "inline" $urls) -}}
{{- include "chandlery.refuseBoth" (dict "secret" .Values.amqp.existingSecret.name "name" "amqp.existingSecret.name" "inline" $amqp) -}}
{{- include "chandlery.refuseBoth" (dict "secret" .Values.encryption.existingSecret.name "name" "encryption.existingSecret.name" "inline" $keys) -}}
{{- include "chandlery.refuseBoth" (dict "secret" .Values.auth.existingSecret.name "name" "auth.existingSecret.name" "inline" $tokens) -}}
{{- if include "chandlery.bringsDatabase" . -}}
{{- $given := empty .Values.database.existingSecret.name | ternary $urls (append $urls "database.existingSecret.name") -}}
{{- include "chandlery.refuseBoth" (dict "secret" (include "chandlery.databaseSource" .) "name" "database.source" "inline" $given) -}}
{{- end -}}
{{- if ne (include "chandlery.amqpSource" .) "external" -}}
{{- $given := empty .Values.amqp.existingSecret.name | ternary $amqp (append $amqp "amqp.existingSecret.name") -}}
{{- include "chandlery.refuseBoth" (dict "secret" (include "chandlery.amqpSource" .) "name" "amqp.source" "inline" $given) -}}
{{- end -}}
{{- if .Values.encryption.generate -}}
{{- $given := empty .Values.encryption.existingSecret.name | ternary $keys (append $keys "encryption.existingSecret.name") -}}
{{- include "chandlery.refuseBoth" (dict "secret" "true" "name" "encryption.generate" "inline" $given) -}}
{{- end -}}
{{- if .Values.auth.generate -}}
{{- $given := empty .Values.auth.existingSecret.name | ternary $tokens (append $tokens "auth.existingSecret.name") -}}
{{- include "chandlery.refuseBoth" (dict "secret" "true" "name" "auth.generate" "inline" $given) -}}
{{- end -}}
{{- include "chandlery.refuseLosingKey" . -}}
{{- include "chandlery.refuseBecomingTrial" . -}}
{{- end }}

{{- define "chandlery.refuseBoth" -}}
{{- if and .secret .inline -}}
{{- fail (printf "%s is set to %s, so %s must not be set: nobody could tell which of them is used" .name .secret (join ", " .inline)) -}}
{{- end -}}
{{- end }}

{{/* Keys of one's own after the chart's: what was encrypted with that one has to stay readable. */}}
{{- define "chandlery.refuseLosingKey" -}}
{{- $generated := include "chandlery.generatedKeyName" . -}}
{{- $given := include "chandlery.givenKeys" . | fromJson -}}
{{- $made := include "chandlery.found" (dict "root" . "kind" "Secret" "name" $generated) | fromJson -}}
{{- if and $given.keys $made (not (regexMatch "(^|,)\\s*generated:" $given.keys)) -}}
{{- fail (printf "%s lacks the key \"generated\" of Secret %s, with which credentials are encrypted: append it (kubectl --namespace %s get secret %s --output jsonpath='{.data.encryption-keys}' | base64 --decode), or delete that Secret if nothing is encrypted with it any more" $given.place $generated .Release.Namespace $generated) -}}
{{- end -}}
{{- end }}

{{/* {place, keys}: where the operator's own keys are, and what they are; no keys where that can not be seen, as without the cluster. */}}
{{- define "chandlery.givenKeys" -}}
{{- $own := .Values.encryption.existingSecret -}}
{{- $source := dict "name" .Values.existingSecret.name "key" .Values.existingSecret.keys.encryptionKeys "place" "existingSecret" -}}
{{- if $own.name -}}
{{- $source = dict "name" $own.name "key" $own.key "place" "encryption.existingSecret" -}}
{{- end -}}
{{- if include "chandlery.generatesKeys" . -}}
{{- dict "place" "" "keys" "" | toJson -}}
{{- else if .Values.encryption.keys -}}
{{- dict "place" "encryption.keys" "keys" (join "," .Values.encryption.keys) | toJson -}}
{{- else if $source.name -}}
{{- $found := include "chandlery.found" (dict "root" . "kind" "Secret" "name" $source.name) | fromJson -}}
{{- dict "place" $source.place "keys" (dig "data" $source.key "" $found | b64dec) | toJson -}}
{{- else -}}
{{- dict "place" "" "keys" "" | toJson -}}
{{- end -}}
{{- end }}

{{/*
An upgrade whose values were forgotten looks like a trial. It would send the pods of an installation to an empty PostgreSQL, where nothing is
known of what service brokers have. A trial has the Secret that was made up for its PostgreSQL.
*/}}
{{- define "chandlery.refuseBecomingTrial" -}}
{{- if and .Release.IsUpgrade (include "chandlery.isTrial" .) -}}
{{- $gateway := include "chandlery.componentName" (dict "root" . "component" "gateway") -}}
{{- $runs := include "chandlery.found" (dict "root" . "kind" "Deployment" "name" $gateway) | fromJson -}}
{{- $ofTrial := include "chandlery.found" (dict "root" . "kind" "Secret" "name" (include "chandlery.postgresName" .)) | fromJson -}}
{{- if and $runs (not $ofTrial) -}}
{{- fail (printf "release %s is no trial, and the values name no PostgreSQL, RabbitMQ, encryption keys or tokens: its pods would get an empty database. Give the values of before again (--values FILE, or --reset-then-reuse-values)" .Release.Name) -}}
{{- end -}}
{{- end -}}
{{- end }}
