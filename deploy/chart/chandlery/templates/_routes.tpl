{{/* How users reach the gateways, and what contradicts itself there. */}}

{{/* What kube-apiserver refuses of a Service, in words of the values. */}}
{{- define "chandlery.refuseOfService" -}}
{{- $service := .Values.gateway.service -}}
{{- if eq $service.type "ClusterIP" -}}
{{- range $name := list "nodePort" "externalTrafficPolicy" -}}
{{- if get $service $name -}}
{{- fail (printf "gateway.service.%s must not be set with type ClusterIP: nothing of it is outside of the cluster" $name) -}}
{{- end -}}
{{- end -}}
{{- else if eq $service.clusterIP "None" -}}
{{- fail (printf "gateway.service.clusterIP must not be None with type %s" $service.type) -}}
{{- end -}}
{{- if ne $service.type "LoadBalancer" -}}
{{- range $name := list "loadBalancerClass" "loadBalancerIP" "loadBalancerSourceRanges" -}}
{{- if get $service $name -}}
{{- fail (printf "gateway.service.%s must not be set with type %s: only a LoadBalancer has it" $name $service.type) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
