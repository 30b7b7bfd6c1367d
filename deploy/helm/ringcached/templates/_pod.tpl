{{/* The server's flags. Each is one element, and values are behind "=" so that none can be taken for a flag. */}}
{{- define "ringcached.args" -}}
{{- if .Values.args -}}
{{- toYaml .Values.args -}}
{{- else -}}
- --port={{ .Values.containerPorts.memcached }}
- --memory-limit={{ int .Values.cache.memoryLimit }}
- --conn-limit={{ int .Values.cache.connectionLimit }}
- --max-item-size={{ .Values.cache.maxItemSize }}
{{- with int .Values.cache.threads }}
- --threads={{ . }}
{{- end }}
{{- with int .Values.cache.clientMemory }}
- --client-memory={{ . }}m
{{- end }}
- --engine={{ .Values.cache.engine }}
- --drain-delay={{ .Values.drain.delaySeconds }}s
- --drain-timeout={{ .Values.drain.timeoutSeconds }}s
{{- if .Values.metrics.enabled }}
- --metrics=:{{ .Values.metrics.containerPorts.metrics }}
{{- end }}
{{- if .Values.auth.enabled }}
- --auth-file=/etc/ringcached/users
{{- end }}
{{- if .Values.persistence.enabled }}
- --memory-file=/cache-state/memory_file
{{- end }}
{{- range .Values.extraArgs }}
- {{ kindIs "string" . | ternary . (toJson .) | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* A probe: custom, or path at the HTTP address. Liveness must not ask for readiness: a pod that drains is not to be started anew. */}}
{{- define "ringcached.probe" -}}
{{- if .custom -}}
{{ .name }}:
  {{- toYaml .custom | nindent 2 }}
{{- else if .values.enabled -}}
{{ .name }}:
  {{- toYaml (omit .values "enabled") | nindent 2 }}
  {{- if .context.Values.metrics.enabled }}
  httpGet:
    path: {{ .path }}
    port: metrics
  {{- else }}
  tcpSocket:
    port: memcache
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "ringcached.containerSecurity" -}}
{{- $security := omit .Values.containerSecurityContext "enabled" -}}
{{- if not $security.seccompProfile -}}
{{- $profile := dict "type" .Values.seccompProfile.type -}}
{{- if eq .Values.seccompProfile.type "Localhost" -}}
{{- $_ := set $profile "localhostProfile" (required "seccompProfile.localhostProfile is needed with type Localhost" .Values.seccompProfile.localhostProfile) -}}
{{- end -}}
{{- $_ := set $security "seccompProfile" $profile -}}
{{- end -}}
{{- toYaml $security -}}
{{- end -}}

{{- define "ringcached.affinity" -}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "ringcached.selectorLabels" . | fromYaml)) -}}
{{- if .Values.affinity -}}
affinity:
  {{- toYaml .Values.affinity | nindent 2 }}
{{- else if eq .Values.podAntiAffinityPreset "hard" -}}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      {{- toYaml (list $term) | nindent 6 }}
{{- else if eq .Values.podAntiAffinityPreset "soft" -}}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 1
        podAffinityTerm:
          {{- toYaml $term | nindent 10 }}
{{- end -}}
{{- end -}}
