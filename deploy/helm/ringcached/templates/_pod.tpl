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
{{- if .Values.tls.enabled }}
- --enable-ssl
- --extended={{ include "ringcached.tlsOptions" . }}
{{- with include "ringcached.plainPort" . }}
- --listen=*:{{ $.Values.containerPorts.memcached }},notls:*:{{ . }}
{{- end }}
{{- end }}
{{- if .Values.persistence.enabled }}
- --memory-file=/cache-state/memory_file
{{- end }}
{{- range .Values.extraArgs }}
- {{ kindIs "string" . | ternary . (toJson .) | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The options of TLS, and the files that the volume certificates has. */}}
{{- define "ringcached.tlsOptions" -}}
ssl_chain_cert=/etc/ringcached-tls/tls.crt,ssl_key=/etc/ringcached-tls/tls.key,ssl_min_version={{ eq (toString .Values.tls.minVersion) "1.3" | ternary 3 2 }}
{{- with int .Values.tls.verifyMode -}}
,ssl_verify_mode={{ . }},ssl_ca_cert=/etc/ringcached-tls/ca.crt
{{- end -}}
{{- end -}}

{{/* The files of secrets, which the kubelet replaces when the secrets change. With fsGroup they are that group's; without it the server can read
them only as everybody. */}}
{{- define "ringcached.certificates" -}}
{{- $tls := .Values.tls -}}
{{- $own := required "tls.existingSecret is needed" $tls.existingSecret -}}
{{- $authorities := default $own $tls.existingCASecret -}}
projected:
  defaultMode: {{ and .Values.podSecurityContext.enabled .Values.podSecurityContext.fsGroup | empty | ternary "0444" "0440" }}
  sources:
    - secret:
        name: {{ $own }}
        items:
          - key: tls.crt
            path: tls.crt
          - key: tls.key
            path: tls.key
    {{- if int $tls.verifyMode }}
    - secret:
        name: {{ $authorities }}
        items:
          - key: ca.crt
            path: ca.crt
    {{- end }}
{{- end -}}

{{/* The port without TLS beside that with it, or nothing. */}}
{{- define "ringcached.plainPort" -}}
{{- $port := int .Values.tls.plainPort -}}
{{- if and .Values.tls.enabled $port -}}
{{- if has $port (list (int .Values.containerPorts.memcached) (int .Values.service.ports.memcached)) -}}
{{- fail (printf "tls.plainPort is %d, which containerPorts.memcached or service.ports.memcached has for TLS" $port) -}}
{{- end -}}
{{- if and .Values.metrics.enabled (eq $port (int .Values.metrics.containerPorts.metrics)) -}}
{{- fail (printf "tls.plainPort is %d, which metrics.containerPorts.metrics has" $port) -}}
{{- end -}}
{{- $port -}}
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
    port: {{ include "ringcached.plainPort" .context | empty | ternary "memcache" "memcache-plain" }}
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
