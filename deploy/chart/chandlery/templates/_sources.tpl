{{/* Which secrets are expected among the values, and what is said when one has two sources. */}}

{{/* {database, amqp, encryption, tokens}: true for each that no Secret and nothing of the release itself provides. */}}
{{- define "chandlery.neededInline" -}}
{{- $all := .Values.existingSecret.name -}}
database: {{ not (or $all .Values.database.existingSecret.name (include "chandlery.bringsDatabase" .)) }}
amqp: {{ not (or $all .Values.amqp.existingSecret.name (ne (include "chandlery.amqpSource" .) "external")) }}
encryption: {{ not (or $all .Values.encryption.existingSecret.name (include "chandlery.generatesKeys" .)) }}
tokens: {{ not (or $all .Values.auth.existingSecret.name (include "chandlery.generatesToken" .) (include "chandlery.isInCluster" .)) }}
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
{{- end }}

{{- define "chandlery.refuseBoth" -}}
{{- if and .secret .inline -}}
{{- fail (printf "%s is set to %s, so %s must not be set: nobody could tell which of them is used" .name .secret (join ", " .inline)) -}}
{{- end -}}
{{- end }}

{{/* Keys of one's own after the chart's: what was encrypted with that one has to stay readable. */}}
{{- define "chandlery.refuseLosingKey" -}}
{{- if .Values.encryption.keys -}}
{{- $found := lookup "v1" "Secret" .Release.Namespace (include "chandlery.generatedKeyName" .) -}}
{{- if $found -}}
{{- $names := list -}}
{{- range .Values.encryption.keys }}{{ $names = append $names (splitList ":" . | first) }}{{ end -}}
{{- if not (has "generated" $names) -}}
{{- fail (printf "encryption.keys lacks the key \"generated\" of Secret %s, with which credentials are encrypted: append it (kubectl --namespace %s get secret %s --output jsonpath='{.data.encryption-keys}' | base64 --decode), or delete that Secret if nothing is encrypted with it any more" (include "chandlery.generatedKeyName" .) .Release.Namespace (include "chandlery.generatedKeyName" .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
