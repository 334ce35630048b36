{{- /* The names of objects do not depend on the release: one operator serves a cluster, and its roles name what is its own. */ -}}

{{- define "keyturn.selectorLabels" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/component: operator
{{- end -}}

{{- define "keyturn.labels" -}}
app.kubernetes.io/name: keyturn
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "keyturn.image" -}}
{{- with .Values.image -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{- define "keyturn.args" -}}
{{- $args := list -}}
{{- with .Values.externalURL }}{{ $args = append $args (printf "--external-url=%s" .) }}{{ end -}}
{{- with .Values.watchNamespaces }}{{ $args = append $args (printf "--watch-namespaces=%s" (join "," .)) }}{{ end -}}
{{- if eq .Values.webhook.certificate "cert-manager" }}{{ $args = append $args "--webhook-certificate=external" }}{{ end -}}
{{- if .Values.https.tlsSecretName }}{{ $args = concat $args (list "--tls-cert-file=/tls/tls.crt" "--tls-key-file=/tls/tls.key") }}{{ end -}}
{{- if eq .Values.tokenStore.type "sqlite" }}{{ $args = append $args "--token-store=sqlite:///var/lib/keyturn/tokens.db" }}{{ end -}}
{{- if eq .Values.tokenStore.type "postgres" }}{{ $args = append $args "--token-store-file=/token-store/url" }}{{ end -}}
{{- if .Values.extAuthz.enabled }}{{ $args = append $args "--ext-authz-bind-address=:9444" }}{{ end -}}
{{- if ne .Values.logLevel "info" }}{{ $args = append $args (printf "--zap-log-level=%s" .Values.logLevel) }}{{ end -}}
{{- concat $args .Values.extraArgs | toYaml -}}
{{- end -}}

{{- /* The documents of a manifest that was generated from the code, for this release's namespace. */ -}}
{{- define "keyturn.generated" -}}
{{- $text := .root.Files.Get .file | required (printf "%s is missing from the chart" .file) -}}
{{- $documents := list -}}
{{- range splitList "\n---" (replace "keyturn-system" .root.Release.Namespace $text) -}}
{{- $documents = append $documents (trimPrefix "---" . | fromYaml) -}}
{{- end -}}
{{- toJson $documents -}}
{{- end -}}

{{- /* The rules of the ClusterRole that are about objects of the cluster, or those about objects of a namespace. */ -}}
{{- define "keyturn.rules" -}}
{{- $cluster := list "namespaces" "validatingwebhookconfigurations" "tokenreviews" -}}
{{- $rules := list -}}
{{- range .rules -}}
{{- if eq $.cluster (has (first .resources) $cluster) }}{{ $rules = append $rules . }}{{ end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
