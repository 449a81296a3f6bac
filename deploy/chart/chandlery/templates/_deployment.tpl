{{/* The Deployment of one component: (dict "root" $ "component" "gateway"). */}}
{{- define "chandlery.deployment" -}}
{{- $root := .root -}}
{{- $own := index .root.Values .component -}}
{{- $isGateway := eq .component "gateway" -}}
{{- include "chandlery.refuseTwice" . -}}
{{- include "chandlery.refuseOfFeatures" .root -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "chandlery.componentName" . }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- with $own.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "chandlery.labels" . | nindent 4 }}
  {{- with $own.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if not $own.autoscaling.enabled }}
  replicas: {{ $own.replicas | int64 }}
  {{- end }}
  revisionHistoryLimit: {{ include "chandlery.revisionHistoryLimit" . }}
  strategy:
    {{- include "chandlery.strategy" . | nindent 4 }}
  selector:
    matchLabels:
      {{- include "chandlery.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- with merge (dict) $own.podLabels $root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "chandlery.labels" . | nindent 8 }}
      annotations:
        {{- with $own.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with $root.Values.metrics }}
        {{- if and .enabled .scrapeAnnotations (not .monitor.enabled) }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ .port | int64 | quote }}
        prometheus.io/path: /metrics
        {{- end }}
        {{- end }}
        checksum/settings: {{ include "chandlery.settings" $root | sha256sum }}
        checksum/secret: {{ include "chandlery.secretChecksum" . }}
    spec:
      {{- include "chandlery.podDefaultsOf" . | nindent 6 }}
      serviceAccountName: {{ include "chandlery.serviceAccountName" . | quote }}
      terminationGracePeriodSeconds: {{ include "chandlery.gracePeriod" . }}
      topologySpreadConstraints:
        {{- include "chandlery.spread" . | trim | nindent 8 }}
      {{- with $own.initContainers }}
      initContainers:
        {{- include "chandlery.restricted" . | trim | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "chandlery.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .component }}]
          envFrom:
            - configMapRef: {name: {{ include "chandlery.fullname" $root | quote }}}
            {{- with $own.envFrom }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          env:
            {{- include "chandlery.listenEnvironment" . | nindent 12 }}
            {{- include "chandlery.secretEnvironment" . | nindent 12 }}
            {{- with concat $root.Values.extraEnv $own.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- if $isGateway }}
            - {name: {{ include "chandlery.portName" . }}, containerPort: 8080, protocol: TCP}
            {{- end }}
            - {name: probes, containerPort: 8081, protocol: TCP}
            {{- with $root.Values.metrics }}
            {{- if .enabled }}
            - {name: metrics, containerPort: {{ .port | int64 }}, protocol: TCP}
            {{- end }}
            {{- end }}
          {{- include "chandlery.probes" . | nindent 10 }}
          {{- with $own.lifecycle }}
          lifecycle:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          securityContext:
            {{- include "chandlery.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: log-levels, mountPath: /etc/chandlery/log-levels, readOnly: true}
            {{- if include "chandlery.isInCluster" $root }}
            {{- include "chandlery.clusterTokenMount" . | nindent 12 }}
            {{- else if and $isGateway (include "chandlery.hasTokenFile" $root) }}
            - {name: tokens, mountPath: /etc/chandlery/tokens, readOnly: true}
            {{- end }}
            {{- if $isGateway }}
            {{- if include "chandlery.auditPolicyName" $root }}
            - {name: audit-policy, mountPath: /etc/chandlery/audit, readOnly: true}
            {{- end }}
            {{- if include "chandlery.tlsSecretName" $root }}
            - {name: tls, mountPath: /etc/chandlery/tls, readOnly: true}
            {{- end }}
            {{- end }}
            {{- include "chandlery.tlsMounts" . | trim | nindent 12 }}
            {{- with concat $root.Values.extraVolumeMounts $own.volumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
        {{- with $own.sidecars }}
        {{- include "chandlery.restricted" . | trim | nindent 8 }}
        {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
        - name: log-levels
          configMap: {name: {{ include "chandlery.fullname" $root }}-log-levels}
        {{- if include "chandlery.isInCluster" $root }}
        {{- include "chandlery.clusterTokenVolume" . | nindent 8 }}
        {{- else if and $isGateway (include "chandlery.hasTokenFile" $root) }}
        {{- include "chandlery.tokenVolume" $root | nindent 8 }}
        {{- end }}
        {{- if $isGateway }}
        {{- with include "chandlery.auditPolicyName" $root }}
        - name: audit-policy
          configMap: {name: {{ . }}}
        {{- end }}
        {{- with include "chandlery.tlsSecretName" $root }}
        - name: tls
          secret: {secretName: {{ . | quote }}, defaultMode: 0440}
        {{- end }}
        {{- end }}
        {{- include "chandlery.tlsVolumes" . | trim | nindent 8 }}
        {{- with concat $root.Values.extraVolumes $own.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}
