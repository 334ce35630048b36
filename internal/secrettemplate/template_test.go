package secrettemplate

import (
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

func fields() Fields {
	f := Example()
	f.ExpiresAt = Instant{Time: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	f.Audiences = []string{"a", "b"}
	return f
}

func TestATemplateRendersTheFields(t *testing.T) {
	for what, test := range map[string]struct{ template, want string }{
		"an Authorization header":   {"Authorization: Bearer {{ .Token }}", "Authorization: Bearer e30.e30.e30"},
		"a netrc":                   {"machine git.example login {{ .Subject }} password {{ .Token }}", "machine git.example login subject password e30.e30.e30"},
		"an instant as RFC 3339":    {"{{ .ExpiresAt }}", "2030-01-02T03:04:05Z"},
		"a list":                    {"{{ range .Audiences }}{{ . }};{{ end }}", "a;b;"},
		"a list with its index":     {"{{ range $i, $a := .Audiences }}{{ $i }}{{ end }}", "01"},
		"a printf of ordinary size": {`{{ printf "%-6s|" .KeyID }}`, "kid   |"},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := Render(map[string]v1alpha1.TemplateText{"key": v1alpha1.TemplateText(test.template)}, fields())
			if err != nil || string(got["key"]) != test.want {
				t.Errorf("rendered %q (%v), want %q", got["key"], err, test.want)
			}
		})
	}
}

func TestATemplateThatCannotBeRenderedSaysWhy(t *testing.T) {
	for what, test := range map[string]struct{ template, want string }{
		"not a template":           {"{{ .Token", "does not parse"},
		"an unknown field":         {"{{ .Password }}", "can't evaluate field Password"},
		"an unknown function":      {"{{ env .Token }}", `function "env" not defined`},
		"a call of itself":         {`{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}`, "calls itself"},
		"a range over a number":    {"{{ range 9000000000 }}{{ end }}", "range goes over something else"},
		"a hidden range":           {"{{ if true }}{{ with .Token }}{{ range 9000000000 }}{{ end }}{{ end }}{{ end }}", "range goes over something else"},
		"a printf of giant width":  {`{{ printf "%99999999d" 1 }}`, "width"},
		"a printf of hidden width": {`{{ printf "%*d" 99999999 1 }}`, "width"},
		"a result without bound":   {strings.Repeat("{{ printf \"%999d\" 1 }}", 100), "longer than 65536 bytes"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Render(map[string]v1alpha1.TemplateText{"some-key": v1alpha1.TemplateText(test.template)}, fields())
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "some-key") {
				t.Errorf("error is %v, want one that names the key and says %q", err, test.want)
			}
		})
	}
}

func FuzzRender(f *testing.F) {
	f.Add("Bearer {{ .Token }}")
	f.Add("{{ range .Audiences }}{{ . }}{{ end }}")
	f.Add(`{{ printf "%s" .ExpiresAt }}`)
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "very-secret-token"
		with := fields()
		with.Token = secret
		out, err := Render(map[string]v1alpha1.TemplateText{"key": v1alpha1.TemplateText(text)}, with)
		if err != nil && strings.Contains(err.Error(), secret) && !strings.Contains(text, secret) {
			t.Errorf("the error shows the token")
		}
		if len(out["key"]) > MaxRenderedBytes {
			t.Errorf("%d bytes were rendered", len(out["key"]))
		}
	})
}
