package secrettemplate

import (
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

// maxVerbs bounds the work of one printf.
const maxVerbs = 32

// functions are what a template may call. The parser looks for the names only; all but printf are package template's own,
// and neither grow text nor call what they are given.
func functions() template.FuncMap {
	permitted := template.FuncMap{"printf": printf}
	for _, name := range []string{"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "slice"} {
		permitted[name] = struct{}{}
	}
	return permitted
}

// printf is fmt.Sprintf for formats that cannot make a long text out of short ones.
func printf(format string, args ...any) (string, error) {
	if strings.Count(format, "%") > maxVerbs {
		return "", fmt.Errorf("more than %d verbs: use several actions", maxVerbs)
	}
	if strings.Contains(format, "*") || regexp.MustCompile(`[0-9]{4}`).MatchString(format) {
		return "", fmt.Errorf("a width or precision of more than 3 digits: write a smaller one")
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > MaxBytes {
		return "", errTooLong
	}
	return text, nil
}
