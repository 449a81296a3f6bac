{{/*
What users may say of the pods of one component: (dict "root" $ "component" "gateway"). What only adds (variables, volumes, labels) comes
after that for all pods; of what decides something (nodeSelector, tolerations, DNS, …) the component's own counts instead.
*/}}

{{/* Where pods run, and how they look up names. Components without values of their own have those for all pods. */}}
{{- define "chandlery.placement" -}}
{{- $own := get .root.Values .component | default dict -}}
{{- $decided := dict -}}
{{- range $name := list "priorityClassName" "dnsPolicy" "nodeSelector" "tolerations" "affinity" "dnsConfig" "hostAliases" -}}
{{- with get $own $name | default (get $.root.Values $name) }}{{ $_ := set $decided $name . }}{{ end -}}
{{- end -}}
{{- if $decided }}{{ toYaml $decided }}{{ end -}}
{{- end }}

{{/* Spread over nodes, unless the component says how. */}}
{{- define "chandlery.spread" -}}
{{- $byNode := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "chandlery.selectorLabels" . | fromYaml)) -}}
{{- range (index .root.Values .component).topologySpreadConstraints | default (list $byNode) }}
- {{- merge (dict) . $selector | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{- define "chandlery.strategy" -}}
{{- $careful := dict "type" "RollingUpdate" "rollingUpdate" (dict "maxSurge" 1 "maxUnavailable" 0) -}}
{{- (index .root.Values .component).strategy | default $careful | toYaml -}}
{{- end }}

{{- define "chandlery.revisionHistoryLimit" -}}
{{- $own := (index .root.Values .component).revisionHistoryLimit -}}
{{- eq (toString $own) "" | ternary .root.Values.revisionHistoryLimit $own | int64 -}}
{{- end }}

{{/* Seconds; more than the process takes to give back what it holds. */}}
{{- define "chandlery.gracePeriod" -}}
{{- $own := (index .root.Values .component).terminationGracePeriodSeconds -}}
{{- $given := eq (toString $own) "" | ternary .root.Values.terminationGracePeriodSeconds $own | int64 -}}
{{- $said := .root.Values.settings.extra.CHANDLERY_SHUTDOWN_SECONDS | default "20" -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?$" $said) -}}
{{- fail (printf "settings.extra.CHANDLERY_SHUTDOWN_SECONDS is %q, and has to be a number of seconds" $said) -}}
{{- end -}}
{{- $shutdown := $said | float64 | ceil | int64 -}}
{{- $delay := eq .component "gateway" | ternary .root.Values.gateway.shutdownDelaySeconds 0 | int64 -}}
{{- $needed := add $shutdown $delay 5 -}}
{{- if le $given $needed -}}
{{- fail (printf "terminationGracePeriodSeconds of %s is %d, and has to be more than %d: %d s for unfinished work (CHANDLERY_SHUTDOWN_SECONDS), %d s until nobody sends requests any more (gateway.shutdownDelaySeconds), 5 s to end" .component $given $needed $shutdown $delay) -}}
{{- end -}}
{{- $given -}}
{{- end }}

{{/* Containers of the user's. Those that say nothing of their rights get as few as the chart's own. */}}
{{- define "chandlery.restricted" -}}
{{- range . }}
- {{- merge (dict) . (dict "securityContext" (include "chandlery.containerSecurity" nil | fromYaml)) | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Two of one name, or in one place, are refused here: kube-apiserver would do so too, but only for the Deployment, when everything else
has been changed.
*/}}
{{- define "chandlery.refuseTwice" -}}
{{- $own := index .root.Values .component -}}
{{- $values := .root.Values -}}
{{- $containers := list .component -}}
{{- range concat $own.initContainers $own.sidecars }}{{ $containers = append $containers .name }}{{ end -}}
{{- include "chandlery.refuseRepeated" (dict "names" $containers "what" (printf "containers of %s" .component)) -}}
{{- $names := list -}}
{{- range concat $values.extraVolumes $own.volumes }}{{ $names = append $names .name }}{{ end -}}
{{- include "chandlery.refuseRepeated" (dict "names" $names "what" (printf "volumes of %s" .component)) -}}
{{- $paths := list -}}
{{- range concat $values.extraVolumeMounts $own.volumeMounts }}{{ $paths = append $paths (clean .mountPath) }}{{ end -}}
{{- include "chandlery.refuseRepeated" (dict "names" $paths "what" (printf "volume mounts of %s" .component)) -}}
{{- $variables := list -}}
{{- range concat $values.extraEnv $own.env }}{{ $variables = append $variables .name }}{{ end -}}
{{- include "chandlery.refuseRepeated" (dict "names" $variables "what" (printf "environment variables of %s" .component)) -}}
{{- include "chandlery.refuseUnknownVolume" . -}}
{{- end }}

{{- define "chandlery.refuseRepeated" -}}
{{- $seen := list -}}
{{- range .names -}}
{{- if has . $seen -}}
{{- fail (printf "%s: %s is there twice; those of the component are added to those for all pods, and to the chart's" $.what .) -}}
{{- end -}}
{{- $seen = append $seen . -}}
{{- end -}}
{{- end }}

{{- define "chandlery.refuseUnknownVolume" -}}
{{- $own := index .root.Values .component -}}
{{- $known := list "tmp" -}}
{{- range concat .root.Values.extraVolumes $own.volumes }}{{ $known = append $known .name }}{{ end -}}
{{- $mounts := concat .root.Values.extraVolumeMounts $own.volumeMounts -}}
{{- range concat $own.initContainers $own.sidecars }}{{ $mounts = concat $mounts (.volumeMounts | default list) }}{{ end -}}
{{- range $mounts -}}
{{- if not (has .name $known) -}}
{{- fail (printf "volume mounts of %s: there is no volume %s; add it to extraVolumes or %s.volumes" $.component .name $.component) -}}
{{- end -}}
{{- end -}}
{{- end }}
