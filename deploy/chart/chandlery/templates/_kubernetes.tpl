{{/* What is different where Chandlery is a part of the cluster's own API: platform kubernetes. */}}

{{- define "chandlery.isInCluster" -}}
{{- if eq .Values.platform "kubernetes" }}true{{ end -}}
{{- end }}

{{/* Whether the gateways make their certificate themselves, and write it into the APIServices. */}}
{{- define "chandlery.makesCertificate" -}}
{{- if and (include "chandlery.isInCluster" .) (eq .Values.kubernetes.servingCertificate.source "self") }}true{{ end -}}
{{- end }}

{{- define "chandlery.usesCertManager" -}}
{{- if and (include "chandlery.isInCluster" .) (eq .Values.kubernetes.servingCertificate.source "certManager") }}true{{ end -}}
{{- end }}

{{/* The Secret with the certificate that is made for this release, by the gateways or by cert-manager. */}}
{{- define "chandlery.servingSecretName" -}}
{{ include "chandlery.fullname" . }}-serving
{{- end }}

{{/* The Secret with tls.crt and tls.key that gateways mount; empty without. */}}
{{- define "chandlery.tlsSecretName" -}}
{{- if include "chandlery.usesCertManager" . -}}
{{ include "chandlery.servingSecretName" . }}
{{- else if .Values.gateway.tls.certManager.enabled -}}
{{ include "chandlery.fullname" . }}-gateway-tls
{{- else -}}
{{ .Values.gateway.tls.secretName }}
{{- end -}}
{{- end }}

{{/* What the gateways serve of the cluster's API, as GROUP/VERSION. */}}
{{- define "chandlery.apiVersions" -}}
servicecatalog.k8s.io/v1beta1 history.chandlery.io/v1 audit.chandlery.io/v1
{{- end }}

{{/* The names of the APIServices, as a list in YAML. */}}
{{- define "chandlery.apiServiceNames" -}}
{{- range splitList " " (include "chandlery.apiVersions" .) }}
- {{ splitList "/" . | last }}.{{ splitList "/" . | first }}
{{- end }}
{{- end }}

{{/*
A token that ends after an hour and is renewed by the kubelet, where libraries look for it. By hand and not by
automountServiceAccountToken, so that no other pod under this service account gets one without asking.
*/}}
{{- define "chandlery.clusterTokenVolume" -}}
- name: cluster-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}]}
{{- end }}

{{- define "chandlery.clusterTokenMount" -}}
- {name: cluster-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{/* ClusterRoles that a namespace binds to let workers use its Secrets: by the same name in every release. */}}
{{- define "chandlery.secretsRole" -}}
chandlery:secrets
{{- end }}
{{- define "chandlery.secretReaderRole" -}}
chandlery:secret-reader
{{- end }}
{{- define "chandlery.secretWatcherRole" -}}
chandlery:secret-watcher
{{- end }}

{{/*
The namespace that `helm test` makes, and deletes together with what an earlier test has left there. So it is one that nobody can
have for something else: before a hook Helm deletes whatever has the hook's name.
*/}}
{{- define "chandlery.testNamespace" -}}
{{ include "chandlery.fullname" . }}-helm-test-{{ printf "%s/%s" .Release.Namespace .Release.Name | sha256sum | trunc 8 }}
{{- end }}

{{/* This component's service account, as the subject of a binding. */}}
{{- define "chandlery.subject" -}}
- {kind: ServiceAccount, name: {{ include "chandlery.serviceAccountName" . | quote }}, namespace: {{ .root.Release.Namespace | quote }}}
{{- end }}

{{/* All workers, each once: without service accounts of their own they share one. */}}
{{- define "chandlery.workerSubjects" -}}
{{- $subjects := list -}}
{{- range list "provisioner" "binder" "syncer" -}}
{{- $subjects = append $subjects (include "chandlery.subject" (dict "root" $ "component" .) | trim) -}}
{{- end -}}
{{- uniq $subjects | join "\n" -}}
{{- end }}

{{/* Values that contradict one another with this platform. */}}
{{- define "chandlery.refuseOfPlatform" -}}
{{- if include "chandlery.isInCluster" . -}}
{{- if .Values.auth.tokens -}}
{{- fail "auth.tokens must not be set with platform kubernetes: users and their rights are those of the cluster" -}}
{{- end -}}
{{- with .Values.kubernetes.secrets -}}
{{- if and .clusterWide (or .namespaces .brokerNamespaces) -}}
{{- fail "kubernetes.secrets.clusterWide gives rights in all namespaces, so kubernetes.secrets.namespaces and kubernetes.secrets.brokerNamespaces must be empty" -}}
{{- end -}}
{{- end -}}
{{- $certificate := .Values.kubernetes.servingCertificate -}}
{{- if eq $certificate.source "secret" -}}
{{- if not .Values.gateway.tls.secretName -}}
{{- fail "gateway.tls.secretName is missing: with kubernetes.servingCertificate.source secret it names the Secret of type kubernetes.io/tls with the gateways' certificate" -}}
{{- end -}}
{{- if and (not $certificate.caBundle) (not .Values.kubernetes.apiServices.annotations) -}}
{{- fail "kubernetes.servingCertificate.caBundle is missing: give the authorities, in PEM, by which kube-apiserver knows the certificate in gateway.tls.secretName" -}}
{{- end -}}
{{- if and $certificate.caBundle (not (regexMatch "^\\s*-----BEGIN CERTIFICATE-----\\s" $certificate.caBundle)) -}}
{{- fail "kubernetes.servingCertificate.caBundle has the wrong form: it has to be PEM, which begins with -----BEGIN CERTIFICATE----- (--set-file kubernetes.servingCertificate.caBundle=ca.crt)" -}}
{{- end -}}
{{- else -}}
{{- if .Values.gateway.tls.secretName -}}
{{- fail (printf "gateway.tls.secretName must not be set with kubernetes.servingCertificate.source %s: that makes the gateways' certificate; set the source to secret to bring your own" $certificate.source) -}}
{{- end -}}
{{- if $certificate.caBundle -}}
{{- fail (printf "kubernetes.servingCertificate.caBundle must not be set with source %s, which keeps it in step with the certificate by itself" $certificate.source) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
