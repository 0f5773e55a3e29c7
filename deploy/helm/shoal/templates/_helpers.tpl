{{- define "shoal.name" -}}
{{- if contains "shoal" .Release.Name }}{{ .Release.Name | trunc 30 | trimSuffix "-" }}{{ else }}{{ printf "%s-shoal" (.Release.Name | trunc 24 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "shoal.selector" -}}
app.kubernetes.io/name: shoal
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .queue }}
shoal/queue: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "shoal.labels" -}}
{{ include "shoal.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: shoal-{{ .root.Chart.Version }}
{{- end }}

{{- define "shoal.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- define "shoal.account" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "shoal.name" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- /* Whether the workers of a queue (`own`) tell what their pod's deletion costs: "true", or nothing. The account may then patch pods' states, so it must be ours. */ -}}
{{- define "shoal.deletionCost" -}}
{{- $ours := ne (include "shoal.account" .root) "default" }}
{{- if and (eq (toString .own.deletionCost) "true") (not $ours) }}{{ fail "worker.deletionCost: serviceAccount.name: every pod of the namespace has the account \"default\"; name another one" }}{{ end }}
{{- if kindIs "invalid" .own.deletionCost }}{{ if and .root.Values.keda.enabled $ours }}true{{ end }}{{ else if .own.deletionCost }}true{{ end }}
{{- end }}

{{- /* What Pod Security's level "restricted" wants of a container. */ -}}
{{- define "shoal.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* The settings of a service, as environment. */ -}}
{{- define "shoal.env" -}}
- {name: SHOAL_BUS, value: {{ required "bus.url: the brokers, kafka://BROKER:9092" .Values.bus.url | quote }}}
{{- if .Values.bus.secret }}
- {name: SHOAL_KAFKA_CONFIG, value: /etc/shoal/bus/client.properties}
{{- end }}
{{- if .Values.bus.schemaRegistry }}
- {name: SHOAL_SCHEMA_REGISTRY, value: {{ .Values.bus.schemaRegistry | quote }}}
{{- end }}
{{- if .Values.bus.jobKeySecret }}
- {name: SHOAL_JOB_KEY, value: /etc/shoal/key/job.key}
{{- end }}
- {name: SHOAL_LOG, value: {{ .Values.log.level }}}
- {name: SHOAL_LOG_FORMAT, value: {{ .Values.log.format }}}
{{- end }}

{{- /* … of a service that reaches inputs and results. */ -}}
{{- define "shoal.serviceEnv" -}}
{{ include "shoal.env" . }}
{{- if .Values.policy }}
- {name: SHOAL_POLICY, value: /etc/shoal/policy/policy.json}
{{- end }}
{{- if .Values.storage.credentialSecrets }}
- {name: SHOAL_CREDENTIALS_DIR, value: /etc/shoal/credentials}
{{- end }}
{{- with .Values.storage.s3Endpoint }}
- {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.region }}
- {name: AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "shoal.busMounts" -}}
{{- if .Values.bus.secret }}
- {name: bus, mountPath: /etc/shoal/bus, readOnly: true}
{{- end }}
{{- if .Values.bus.jobKeySecret }}
- {name: key, mountPath: /etc/shoal/key, readOnly: true}
{{- end }}
{{- end }}
{{- define "shoal.busVolumes" -}}
{{- with .Values.bus.secret }}
- {name: bus, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- with .Values.bus.jobKeySecret }}
- {name: key, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- end }}

{{- define "shoal.mounts" -}}
- {name: scratch, mountPath: /scratch}
{{- include "shoal.busMounts" . }}
{{- if .Values.policy }}
- {name: policy, mountPath: /etc/shoal/policy, readOnly: true}
{{- end }}
{{- range .Values.storage.credentialSecrets }}
- {name: credentials-{{ . }}, mountPath: /etc/shoal/credentials/{{ . }}, readOnly: true}
{{- end }}
{{- with .Values.storage.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- define "shoal.volumes" -}}
- {name: scratch, emptyDir: {sizeLimit: {{ .scratch }}}}
{{- with .root }}
{{- include "shoal.busVolumes" . }}
{{- if .Values.policy }}
- {name: policy, configMap: {name: {{ include "shoal.name" . }}-policy}}
{{- end }}
{{- range .Values.storage.credentialSecrets }}
- {name: credentials-{{ . }}, secret: {secretName: {{ . }}, defaultMode: 0440}}
{{- end }}
{{- with .Values.storage.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "shoal.probes" -}}
readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 5, timeoutSeconds: 5}
livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
{{- end }}

{{- /* Of a pod's template: no version, which would be a new pod for each new chart; but a new policy is one. */ -}}
{{- define "shoal.podMetadata" -}}
labels:
  {{- include "shoal.selector" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := dict }}
{{- with .root.Values.policy }}
{{- $_ := set $annotations "checksum/policy" (. | toJson | sha256sum) }}
{{- end }}
{{- if eq (dig "runtime" "" (.own | default dict)) "pod" }}
{{- /* Clouds' webhooks give each container the account's token, also the one that is the job's. */}}
{{- $_ := set $annotations "eks.amazonaws.com/skip-containers" "agent,command" }}
{{- $_ := set $annotations "azure.workload.identity/skip-containers" "agent;command" }}
{{- end }}
{{- with mergeOverwrite $annotations .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Of a pod's spec, what all pods have; `own` may have a component's nodeSelector, tolerations, affinity, priorityClassName. */ -}}
{{- define "shoal.pod" -}}
{{- $values := .root.Values -}}
{{- $own := .own | default dict -}}
serviceAccountName: {{ include "shoal.account" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $own.priorityClassName | default $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector | default $values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $own.tolerations | default $values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $own.affinity | default $values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- if $values.topologySpread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "shoal.selector" . | nindent 8 }}
{{- end }}
{{- end }}
