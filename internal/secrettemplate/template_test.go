package secrettemplate_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/secrettemplate"
	"github.com/keyturn/keyturn/test/budget"
)

const secret = "e30.e30.compact"

func fields() secrettemplate.Fields {
	return secrettemplate.Fields{
		Token: secret, TokenID: "id", KeyID: "kid", Issuer: "https://issuer.example", Subject: "sub",
		Audiences: []string{"a", "b"},
		IssuedAt:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), ExpiresAt: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC),
		Name: "till", Namespace: "shop",
	}
}

func render(text string) (string, error) {
	rendered, err := secrettemplate.Render(map[string]v1alpha1.TemplateText{"k": v1alpha1.TemplateText(text)}, fields())
	return string(rendered["k"]), err
}

func TestRender(t *testing.T) {
	cases := map[string]struct{ template, want string }{
		"an Authorization header":       {"Authorization: Bearer {{ .Token }}", "Authorization: Bearer " + secret},
		"a netrc":                       {"machine api.example\nlogin oauth\npassword {{.Token}}\n", "machine api.example\nlogin oauth\npassword " + secret + "\n"},
		"everything":                    {"{{.TokenID}} {{.KeyID}} {{.Issuer}} {{.Subject}} {{.Name}} {{.Namespace}}", "id kid https://issuer.example sub till shop"},
		"instants in UTC":               {"{{.IssuedAt}} {{.ExpiresAt}}", "2026-01-02T02:04:05Z 2026-01-02T04:04:05Z"},
		"the audiences in a loop":       {`{{range $i, $a := .Audiences}}{{if $i}},{{end}}{{$a}}{{end}}`, "a,b"},
		"a loop from inside a with":     {`{{with .Name}}{{range $.Audiences}}{{.}}{{end}}{{end}}`, "ab"},
		"one audience":                  {`{{index .Audiences 1}} {{len .Audiences}} {{slice .Token 0 3}}`, "b 2 e30"},
		"a choice":                      {`{{if and (eq .Name "till") (ne .Namespace "bank")}}yes{{else if not .Name}}no{{end}}`, "yes"},
		"a printf of ordinary size":     {`{{ printf "%-6s|%s" .KeyID .Name }}`, "kid   |till"},
		"nothing but a comment":         {`{{/* nothing */}}`, ""},
		"an empty text":                 {``, ""},
		"text that HTML would escape":   {`<{{.Issuer}}>`, "<https://issuer.example>"},
		"white space that a dash trims": {"a  {{- .Name -}}  b", "atillb"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := render(c.template)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	const loop = "range is permitted over .Audiences only, and not inside another range"
	const nested = "define, block and template are not permitted: write the text where it is needed"
	const long = "the text is longer than 65536 bytes: shorten the template"
	cases := map[string]struct{ template, want string }{
		"an action that does not end":      {"a\n{{ .Token ", "line 2: unclosed action"},
		"a field that there is not":        {"{{ .Secret }}", "line 1:3: at <.Secret>: there is no .Secret here, only .Token, .TokenID,"},
		"a field of a field":               {"{{ .Token.Length }}", "line 1:9: at <.Token.Length>: there is no .Length here"},
		"a function that grows text":       {`{{ js .Token }}`, `line 1: function "js" not defined`},
		"a function that calls":            {`{{ call .Token }}`, `line 1: function "call" not defined`},
		"an environment variable":          {`{{ env "HOME" }}`, `line 1: function "env" not defined`},
		"a printf of giant width":          {`{{ printf "%999999d" 1 }}`, "line 1:3: at <printf \"%999999d\" 1>: error calling printf: a width or precision of more than 3 digits"},
		"a printf of hidden width":         {`{{ printf "%*d" 999999 1 }}`, `line 1:3: at <printf "%*d" 999999 1>: error calling printf: a width or precision of more than 3 digits`},
		"a printf of many verbs":           {`{{ printf "` + strings.Repeat("%[1]s", 33) + `" .Token }}`, "line 1:3: at <printf \"%[1]s"},
		"a text doubled again and again":   {`{{ $a := .Token }}` + strings.Repeat(`{{ $a = printf "%s%s" $a $a }}`, 100), long},
		"a loop over a number":             {`{{range 1000000000}}x{{end}}`, loop},
		"a loop over a length":             {`{{range len .Token}}x{{end}}`, loop},
		"a loop over a variable":           {`{{$n := 1000000000}}{{range $n}}x{{end}}`, loop},
		"a loop over a longer pipeline":    {`{{range .Audiences | len}}x{{end}}`, loop},
		"a loop in a loop":                 {`{{range .Audiences}}{{range $.Audiences}}x{{end}}{{end}}`, loop},
		"a loop in a choice in a loop":     {`{{range .Audiences}}{{if .}}{{else}}{{range $.Audiences}}x{{end}}{{end}}{{end}}`, loop},
		"a template that is defined":       {`{{define "a"}}x{{end}}`, nested},
		"a block":                          {`{{block "a" .}}x{{end}}`, nested},
		"a template that calls itself":     {`{{template "template" .}}`, nested},
		"a call behind a with":             {`{{with .Name}}{{template "template" .}}{{end}}`, nested},
		"an index that there is not":       {`{{index .Audiences 7}}`, "line 1:2: at <index .Audiences 7>: error calling index: "},
		"a text that becomes too long":     {strings.Repeat(`{{printf "%999s" .Token}}`, 300), long},
		"a template that is too long":      {strings.Repeat("é", 8193), "the template is longer than 8192 characters: shorten it"},
		"a comparison of different kinds":  {`{{if lt .Token 1}}x{{end}}`, "line 1:5: at <lt .Token 1>: error calling lt: incompatible types for comparison"},
		"an end without a beginning":       {`{{end}}`, "line 1: unexpected {{end}}"},
		"a number that is none":            {`{{ 1x }}`, "line 1: bad number syntax"},
		"a character that is not expected": {"{{ \x00 }}", "line 1: unrecognized character in action: U+0000"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := render(c.template); err == nil || !strings.Contains(err.Error(), `render "k": `+c.want) {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestRenderKeepsWithinBounds(t *testing.T) {
	long := fields()
	long.Token = strings.Repeat("x", 40<<10)
	data := map[string]v1alpha1.TemplateText{}
	for i := range 16 {
		data[fmt.Sprintf("key-%02d", i)] = "{{.Token}}"
	}
	if _, err := secrettemplate.Render(data, long); err == nil || !strings.Contains(err.Error(), `render "key-12": all keys together are longer than 524288 bytes`) {
		t.Errorf("16 keys of 40 KiB: %v", err)
	}
	_, err := secrettemplate.Render(map[string]v1alpha1.TemplateText{"one": "{{.Token}}{{.Token}}"}, long)
	if got, want := fmt.Sprint(err), `render "one": the text is longer than 65536 bytes: shorten the template`; got != want {
		t.Errorf("one key of 80 KiB: got %s, want %s", got, want)
	}
}

func TestNothingTellsTheToken(t *testing.T) {
	log := &strings.Builder{}
	slog.New(slog.NewTextHandler(log, nil)).Info("fields", "value", fields())
	encoded, err := json.Marshal(fields())
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{
		log.String(), string(encoded), fields().String(),
		fmt.Sprint(fields()), fmt.Sprintf("%+v %#v %q %x %d", fields(), fields(), fields(), fields(), fields()),
	}
	for _, text := range texts {
		if strings.Contains(text, secret) || !strings.Contains(text, "redacted") {
			t.Errorf("told: %s", text)
		}
	}
	if _, err := render("{{ index .Audiences .Token }}"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("the error tells the token, or there is none: %v", err)
	}
}

// FuzzRender: whatever is written as a template renders or does not, the same each time and soon, stays within its bound, and no
// error tells the token.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"Authorization: Bearer {{ .Token }}", "{{range $i, $a := .Audiences}}{{$i}}{{break}}{{else}}{{continue}}{{end}}",
		`{{with $x := index .Audiences .Token}}{{end}}`, `{{slice .Token 1 2 3}}`, `{{$.Token.X}}`, `{{(index .Audiences 0).Token}}`,
		"{{/**/}}{{- .Name -}}", `{{if le .Token .}}{{end}}`, "{{.\n}}", `{{len (len .Token)}}`, "{{`a` | eq .Token}}",
		`{{$a := .Token}}{{range .Audiences}}{{$a = printf "%s%s%s%s%[1]s%[1]s%[1]s%[1]s" $a $a $a $a}}{{end}}`,
		`{{ printf "%s%[1]v%!" . .Token }}`, `{{ .Token | printf }}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var rendered string
		var err error
		if bytes := budget.Bytes(func() { rendered, err = render(text) }); bytes > 32<<20 {
			t.Errorf("%d MiB are allocated", bytes>>20)
		}
		if again, fault := render(text); again != rendered || fmt.Sprint(fault) != fmt.Sprint(err) {
			t.Errorf("first %q, %v, then %q, %v", rendered, err, again, fault)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the token: %v", err)
		}
		if len(rendered) > secrettemplate.MaxBytes {
			t.Errorf("%d bytes", len(rendered))
		}
	})
}
