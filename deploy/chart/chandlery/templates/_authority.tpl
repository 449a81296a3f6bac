{{/*
An authority of the release's own, by cert-manager, and not a certificate that signs itself: its renewal would change what clients trust.
(dict "root" $ "scope" … "name" …)
*/}}
{{- define "chandlery.ownAuthority" }}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: {{ .name }}-itself
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "chandlery.labels" .scope | nindent 4 }}
spec:
  selfSigned: {}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "chandlery.labels" .scope | nindent 4 }}
spec:
  isCA: true
  commonName: {{ .name }}
  secretName: {{ .name }}
  duration: 87600h
  privateKey: {algorithm: ECDSA, size: 256}
  issuerRef: {name: {{ .name }}-itself, kind: Issuer, group: cert-manager.io}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "chandlery.labels" .scope | nindent 4 }}
spec:
  ca: {secretName: {{ .name }}}
{{- end }}
