// Package secrettemplate renders the further keys of a token's Secret: an Authorization header, a netrc, a kubeconfig.
package secrettemplate

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// MaxRenderedBytes bounds one rendered key.
const MaxRenderedBytes = 64 << 10

// Fields are what a template may use. Instants are shown as RFC 3339, UTC.
type Fields struct {
	Token, TokenID, KeyID string
	Issuer, Subject       string
	Audiences             []string
	IssuedAt, ExpiresAt   Instant
	Name, Namespace       string
}

// Instant prints itself as RFC 3339, UTC.
type Instant struct{ time.Time }

func (i Instant) String() string { return i.UTC().Format(time.RFC3339) }

// Example are fields of the right shape, to try a template before there is a token.
func Example() Fields {
	return Fields{
		Token: "e30.e30.e30", TokenID: "id", KeyID: "kid", Issuer: "https://issuer.example", Subject: "subject",
		Audiences: []string{"https://audience.example"}, Name: "name", Namespace: "namespace",
	}
}

// Render renders every key. An error names the key, and never shows what was rendered.
func Render(data map[string]v1alpha1.TemplateText, fields Fields) (map[string][]byte, error) {
	rendered := map[string][]byte{}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		text, err := render(string(data[key]), fields)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		rendered[key] = text
	}
	return rendered, nil
}

func render(text string, fields Fields) ([]byte, error) {
	parsed, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the template does not parse: %w", err)
	}
	for _, t := range parsed.Templates() {
		if err := refuse(t.Root); err != nil {
			return nil, err
		}
	}
	out := &bounded{}
	if err := parsed.Execute(out, fields); err != nil {
		if errors.Is(err, errTooLong) {
			return nil, errTooLong
		}
		return nil, plain(err)
	}
	return out.Bytes(), nil
}

// plain keeps where and what of an execution error; text/template quotes the template there, never the fields.
func plain(err error) error {
	return fmt.Errorf("the template cannot be rendered: %w", err)
}

var errTooLong = fmt.Errorf("the result is longer than %d bytes: shorten the template", MaxRenderedBytes)

// bounded stops a template whose result is too long.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > MaxRenderedBytes {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

var errCalls = errors.New("the template calls itself or another template: write it out instead")

// refuse says whether a template could run without end: only a template that invokes templates can, since the fields
// hold nothing long to range over.
func refuse(node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := refuse(child); err != nil {
				return err
			}
		}
	case *parse.TemplateNode:
		return errCalls
	case *parse.IfNode:
		return errors.Join(refuse(n.List), refuse(n.ElseList))
	case *parse.RangeNode:
		return errors.Join(refuse(n.List), refuse(n.ElseList))
	case *parse.WithNode:
		return errors.Join(refuse(n.List), refuse(n.ElseList))
	}
	return nil
}
