{{/* The container's memory in mebibytes, each part rounded up: docs/operations.md has the formula. */}}
{{- define "ringcached.memory" -}}
{{- $items := int .Values.cache.memoryLimit -}}
{{- $connections := int .Values.cache.connectionLimit -}}
{{- $threads := int .Values.cache.threads | default 16 -}}
{{- $clients := int .Values.cache.clientMemory -}}
{{- if eq $clients 0 -}}
{{- /* The server's default: 64 KiB for each connection, a quarter of -m at most, 32 MiB at least. */ -}}
{{- $clients = max 32 (min (div $items 4) (div $connections 16)) -}}
{{- end -}}
{{- $index := add (div $items 8) 1 -}}
{{- with int .Values.cache.averageItemSize -}}
{{- $index = add (div (mul $items 85) (mul . 10)) 1 -}}
{{- end -}}
{{- /* The program and its runtime, and 1024 receive buffers of 2112 bytes for each thread. */ -}}
{{- $process := add 8 (div (add (mul $threads 33) 15) 16) -}}
{{- if .Values.tls.enabled -}}
{{- /* 400 bytes for each connection, and 64 KiB for each of --tls-handshakes. */ -}}
{{- $process = add $process (div (add (mul $connections 400) 1048575) 1048576) (div (add (min $connections 256) 15) 16) -}}
{{- end -}}
{{- /* 8 KiB for each connection: 100 bytes of the server's and what the kernel counts as the container's. */ -}}
{{- $sockets := div (add $connections 127) 128 -}}
{{- add $items $clients $index $process $sockets -}}
{{- end -}}

{{- define "ringcached.resources" -}}
{{- if .Values.resources -}}
{{- toYaml .Values.resources -}}
{{- else -}}
{{- $memory := include "ringcached.memory" . -}}
limits:
  memory: {{ $memory }}Mi
requests:
  cpu: 500m
  memory: {{ $memory }}Mi
{{- end -}}
{{- end -}}

{{/* Seconds that a stop can take: draining, and with persistence saving at 64 MiB a second. */}}
{{- define "ringcached.stopSeconds" -}}
{{- $seconds := add (int .Values.drain.delaySeconds) (int .Values.drain.timeoutSeconds) -}}
{{- if .Values.persistence.enabled -}}
{{- $seconds = add $seconds (div (int .Values.cache.memoryLimit) 64) 1 -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{- define "ringcached.gracePeriod" -}}
{{- $needed := include "ringcached.stopSeconds" . | int -}}
{{- if not .Values.terminationGracePeriodSeconds -}}
{{- add $needed 10 -}}
{{- else -}}
{{- $given := int .Values.terminationGracePeriodSeconds -}}
{{- if le $given $needed -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: draining can take %d seconds (drain.delaySeconds, drain.timeoutSeconds and saving), and the kubelet would kill the pod before it has ended" $given $needed) -}}
{{- end -}}
{{- $given -}}
{{- end -}}
{{- end -}}
