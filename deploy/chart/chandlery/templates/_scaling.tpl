{{/* What decides how many pods a component has: (dict "root" $ "component" "gateway"). */}}

{{/* keda, hpa, or nothing where the number is given. */}}
{{- define "chandlery.scaledBy" -}}
{{- $scaling := (index .root.Values .component).autoscaling -}}
{{- if $scaling.enabled -}}
{{- if gt (int64 $scaling.minReplicas) (int64 $scaling.maxReplicas) -}}
{{- fail (printf "%s.autoscaling.minReplicas is %d, more than maxReplicas, which is %d" .component (int64 $scaling.minReplicas) (int64 $scaling.maxReplicas)) -}}
{{- end -}}
{{- eq (get $scaling "by") "backlog" | ternary "keda" "hpa" -}}
{{- end -}}
{{- end }}

{{/* CPU in percent of the request can only be told where there is a request. */}}
{{- define "chandlery.cpuTarget" -}}
{{- $own := index .root.Values .component -}}
{{- if not (get ($own.resources.requests | default dict) "cpu") -}}
{{- fail (printf "%s.autoscaling needs %s.resources.requests.cpu: the number of pods goes by the CPU in use, in percent of it" .component .component) -}}
{{- end -}}
{{- $own.autoscaling.targetCpuUtilization | int64 -}}
{{- end }}

{{- define "chandlery.scaleTarget" -}}
apiVersion: apps/v1
kind: Deployment
name: {{ include "chandlery.componentName" . }}
{{- end }}

{{/* As in docs/operations.md, "Scaling": of two processes that tell for a moment, one. */}}
{{- define "chandlery.backlogQuery" -}}
{{- $selector := .root.Values.keda.prometheus.selector | trim | trimAll "," -}}
{{- $labels := list (printf "worker=%q" .component) -}}
{{- if $selector }}{{ $labels = append $labels $selector }}{{ end -}}
sum(max by (worker, kind, broker) (chandlery_backlog{ {{- join "," $labels -}} }))
{{- end }}

{{/*
The same from the table: objects of the worker's kinds that are due, and that nobody works on. What is due is put on the bus within ten
minutes, what is at rest never, and an index leads by that (store/work/work_counts.py); it stops at 20,000.
*/}}
{{- define "chandlery.backlogSql" -}}
{{- $kinds := get (dict "provisioner" (list "ServiceInstance") "binder" (list "ServiceBinding") "syncer" (list "ClusterServiceBroker" "ServiceBroker" "Namespace")) .component -}}
SELECT count(*) FROM (SELECT 1 FROM work_queue WHERE kind IN ('{{ join "', '" $kinds }}') AND enqueue_after <= now() + interval '601 seconds' AND due_at <= now() AND (lease_until IS NULL OR lease_until < now()) LIMIT 20000) AS due
{{- end }}

{{/* A number that nobody can tell is no reason to take pods away. */}}
{{- define "chandlery.refuseOfKeda" -}}
{{- with .Values.keda -}}
{{- if and (eq .source "prometheus") (not .prometheus.serverAddress) -}}
{{- fail "keda.prometheus.serverAddress is missing: autoscaling by backlog asks a Prometheus, e.g. http://prometheus.monitoring:9090; or set keda.source to postgresql, or autoscaling.by to cpu" -}}
{{- end -}}
{{- if and (eq .source "prometheus") (not $.Values.metrics.enabled) -}}
{{- fail "metrics.enabled has to be true for autoscaling by backlog: Prometheus has chandlery_backlog from the pods; or set keda.source to postgresql, or autoscaling.by to cpu" -}}
{{- end -}}
{{- if and (eq .source "postgresql") (not .postgresql.secret.name) -}}
{{- fail "keda.postgresql.secret.name is missing: name a Secret with the URL of a database role that may read the table work_queue" -}}
{{- end -}}
{{- range $name := list "serverAddress" "query" "threshold" "ignoreNullValues" -}}
{{- if hasKey $.Values.keda.prometheus.metadata $name -}}
{{- fail (printf "keda.prometheus.metadata.%s must not be set: the chart sets it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
