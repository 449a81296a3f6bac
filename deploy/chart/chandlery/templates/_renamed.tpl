{{/*
Values that have another name now. The old one goes on to work for a release, with a warning after each install and upgrade.
Whoever renames one adds a line here, keeps the old name in values.schema.json and not in values.yaml, gives the new one no
default in values.yaml but here, and reads it by "chandlery.renamed.value".
*/}}
{{- define "chandlery.renamed" -}}
values: []
#  - {old: gateway.count, new: gateway.replicas, since: 0.2.0, until: 0.3.0, default: 2}
{{- end }}

{{/* What stands at a path of the values as JSON in "found"; nothing where there is none. "path" is like `gateway.replicas`. */}}
{{- define "chandlery.renamed.at" -}}
{{- $place := dict "found" .root.Values -}}
{{- range splitList "." .path -}}
{{- $here := $place.found -}}
{{- $_ := set $place "found" (and (kindIs "map" $here) (hasKey $here .) | ternary (get (kindIs "map" $here | ternary $here dict) .) nil) -}}
{{- end -}}
{{- if not (kindIs "invalid" $place.found) -}}{{ dict "found" $place.found | toJson }}{{- end -}}
{{- end }}

{{/* The value of today's name, as JSON: given by that, or by the old name, or the default. Both at once are refused. */}}
{{- define "chandlery.renamed.value" -}}
{{- $root := .root -}}{{- $new := .new -}}
{{- $given := include "chandlery.renamed.at" (dict "root" $root "path" $new) -}}
{{- $answer := dict "json" $given "default" nil -}}
{{- range (include "chandlery.renamed" $root | fromYaml).values -}}
{{- if eq .new $new -}}
{{- $old := include "chandlery.renamed.at" (dict "root" $root "path" .old) -}}
{{- if and $old $given -}}{{- fail (printf "%s and %s are both set: %s is the old name of %s; remove %s" .old .new .old .new .old) -}}{{- end -}}
{{- $_ := set $answer "json" ($old | default $given) -}}
{{- $_ := set $answer "default" .default -}}
{{- end -}}
{{- end -}}
{{- if $answer.json -}}{{ get ($answer.json | fromJson) "found" | toJson }}{{- else -}}{{ $answer.default | toJson }}{{- end -}}
{{- end }}

{{/* A sentence for each value, and for each setting in settings.extra, that is given by its old name. */}}
{{- define "chandlery.renamed.warnings" -}}
{{- $root := . -}}
{{- range (include "chandlery.renamed" . | fromYaml).values }}
{{- if include "chandlery.renamed.at" (dict "root" $root "path" .old) }}
WARNING: {{ .old }} is called {{ .new }} since release {{ .since }}; the old name works until release {{ .until }}, which refuses it.
{{- end }}
{{- end }}
{{- end }}
