// Package secrettemplate renders the further keys of a token's Secret: Go text templates over what is known of the token.
//
// Whoever may write a ServiceToken may write a template, so that rendering one is bounded in time and size: there are no
// functions but comparisons, those that take a part of a value and a bounded printf, no templates in templates, and one
// loop, over the audiences.
package secrettemplate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// The bounds of what is rendered. A Secret holds at most 1 MiB.
const (
	// MaxBytes is the longest text of one key.
	MaxBytes = 64 << 10
	// MaxTotalBytes is the most that all keys hold together.
	MaxTotalBytes = 512 << 10
	// maxText is the longest template in characters, as the API has it.
	maxText = 8192
)

// Render renders every template. An error names the first key, in the order of their names, whose template cannot be
// rendered, and tells nothing of the token.
func Render(data map[string]v1alpha1.TemplateText, f Fields) (map[string][]byte, error) {
	rendered := make(map[string][]byte, len(data))
	total := 0
	for _, key := range slices.Sorted(maps.Keys(data)) {
		text, err := render(data[key], f)
		if err != nil {
			return nil, fmt.Errorf("render %q: %w", key, err)
		}
		if total += len(text); total > MaxTotalBytes {
			return nil, fmt.Errorf("render %q: all keys together are longer than %d bytes: shorten them", key, MaxTotalBytes)
		}
		rendered[key] = text
	}
	return rendered, nil
}

func render(text v1alpha1.TemplateText, f Fields) ([]byte, error) {
	t, err := parseText(string(text))
	if err != nil {
		return nil, err
	}
	out := limited{text: []byte{}}
	if err := t.Execute(&out, f.view()); err != nil {
		return nil, explain(err, f.Token)
	}
	return out.text, nil
}

// root is the name of the one template; it stands in messages before the line.
const root = "template"

// parseText reads a template that may use only what is permitted.
func parseText(text string) (*template.Template, error) {
	if utf8.RuneCountInString(text) > maxText {
		return nil, fmt.Errorf("the template is longer than %d characters: shorten it", maxText)
	}
	trees, err := parse.Parse(root, text, "", "", functions())
	if err != nil {
		return nil, explain(err, "")
	}
	if len(trees) > 1 {
		return nil, errNested
	}
	tree := trees[root]
	if tree == nil { // A text of white space and comments alone.
		tree = &parse.Tree{Name: root, Root: &parse.ListNode{NodeType: parse.NodeList}}
	}
	if err := check(tree.Root, false); err != nil {
		return nil, err
	}
	t, err := template.New(root).Funcs(template.FuncMap{"printf": printf}).AddParseTree(root, tree)
	if err != nil {
		return nil, fmt.Errorf("add template: %w", err)
	}
	return t, nil
}

var (
	errNested = errors.New("define, block and template are not permitted: write the text where it is needed")
	errLoop   = errors.New("range is permitted over .Audiences only, and not inside another range")
)

// check refuses what could make rendering long: templates that call templates, and loops other than one over the audiences.
func check(node parse.Node, looping bool) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, child := range n.Nodes {
			if err := check(child, looping); err != nil {
				return err
			}
		}
	case *parse.TemplateNode:
		return errNested
	case *parse.IfNode:
		return errors.Join(check(n.List, looping), check(n.ElseList, looping))
	case *parse.WithNode:
		return errors.Join(check(n.List, looping), check(n.ElseList, looping))
	case *parse.RangeNode:
		over := n.Pipe.Cmds[0].String()
		if looping || len(n.Pipe.Cmds) > 1 || over != ".Audiences" && over != "$.Audiences" {
			return errLoop
		}
		return errors.Join(check(n.List, true), check(n.ElseList, looping))
	}
	return nil
}

// limited is an output of bounded length.
type limited struct{ text []byte }

var errTooLong = fmt.Errorf("the text is longer than %d bytes: shorten the template", MaxBytes)

func (l *limited) Write(more []byte) (int, error) {
	if len(l.text)+len(more) > MaxBytes {
		return 0, errTooLong
	}
	l.text = append(l.text, more...)
	return len(more), nil
}

// explain says in a few words where a template fails and why. What it quotes is the template, never the token.
func explain(err error, token string) error {
	if errors.Is(err, errTooLong) {
		return errTooLong
	}
	text := strings.TrimPrefix(err.Error(), "template: "+root+":")
	if before, after, found := strings.Cut(text, "can't evaluate field "); found {
		name, _, _ := strings.Cut(after, " ")
		text = fmt.Sprintf("%sthere is no .%s here, only %s", before, name, strings.Join(names(), ", "))
	}
	text = strings.ReplaceAll(text, `executing "`+root+`" `, "")
	if token != "" {
		text = strings.ReplaceAll(text, token, "[redacted token]")
	}
	return errors.New("line " + text)
}
