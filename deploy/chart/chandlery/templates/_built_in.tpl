{{/* What PostgreSQL and RabbitMQ of a trial have in common: one pod each, which nobody who needs his data should rely on. */}}

{{- define "chandlery.serverImage" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end }}

{{/* The Service, and the StatefulSet as far as its containers: (dict "root" $ "component" "postgresql" "name" … "port" … "values" …). */}}
{{- define "chandlery.builtInService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "chandlery.labels" . | nindent 4 }}
spec:
  # Headless: there is one pod, and its StatefulSet needs a Service of this kind.
  clusterIP: None
  ports:
    - {name: {{ .portName }}, port: {{ .port }}, targetPort: {{ .portName }}, protocol: TCP}
  selector:
    {{- include "chandlery.selectorLabels" . | nindent 4 }}
{{- end }}

{{- define "chandlery.builtInPod" -}}
metadata:
  labels:
    {{- with .root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    # Without the version: a new chart alone does not restart it.
    {{- include "chandlery.selectorLabels" . | nindent 4 }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 120
  {{- /* The directory's mode is set once: both servers refuse files that others may write. */}}
  {{- $always := dict "runAsNonRoot" true "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") }}
  securityContext:
    {{- merge $always .values.podSecurityContext | toYaml | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "chandlery.builtInClaim" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources: {requests: {storage: {{ .size | quote }}}}
{{- end }}
