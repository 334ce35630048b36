package api_test

import (
	"cmp"
	"strconv"
	"strings"
)

// The bounds of shapes that several fields have.

func text(n int) string { return strings.Repeat("x", n) }

// lengthBounds are those of text.
func lengthBounds(path string, most int) bounds {
	return bounds{
		path + " is empty": {
			refused:    edit{path: ""},
			wantErrors: []string{path + " in body should be at least 1 chars long"},
			accepted:   edit{path: "x"},
		},
		path + " is too long": {
			refused:    edit{path: text(most + 1)},
			wantErrors: []string{path + ": Too long: may not be more than "},
			accepted:   edit{path: text(most)},
		},
	}
}

// nameBounds are those of the name of an object that becomes part of something else.
func nameBounds() bounds {
	const name = "metadata.name must be a DNS label of at most 63 characters"
	return bounds{
		"a name of 64 characters": {
			refused:    edit{"metadata.name": text(64)},
			wantErrors: []string{name},
			accepted:   edit{"metadata.name": text(63)},
		},
		"a name with a dot, which no label may have": {
			refused:    edit{"metadata.name": "a.b"},
			wantErrors: []string{name},
			accepted:   edit{"metadata.name": "a-b"},
		},
	}
}

// keyRefBounds are those of a reference to a SigningKey.
func keyRefBounds() bounds {
	return join(
		labelBounds("spec.signingKeyRef.name", "must be a DNS label, as SigningKey names are"),
		labelBounds("spec.signingKeyRef.namespace", "must be a DNS label, as namespace names are"),
		bounds{
			"no key": {
				refused:    edit{"spec.signingKeyRef": nil},
				wantErrors: []string{"spec.signingKeyRef: Required value"},
				accepted:   edit{"spec.signingKeyRef": map[string]any{"name": "unknown"}},
			},
			"a key without a name": {
				refused:    edit{"spec.signingKeyRef": map[string]any{"namespace": "default"}},
				wantErrors: []string{"spec.signingKeyRef.name: Required value"},
				accepted:   edit{"spec.signingKeyRef": map[string]any{"namespace": "missing", "name": "key"}},
			},
		},
	)
}

// scopeBounds are those of a list of scopes.
func scopeBounds() bounds {
	const (
		path   = "spec.scopes"
		syntax = "must be printable ASCII without space, double quote and backslash (RFC 6749 section 3.3)"
	)
	scope := func(i int) any { return "scope-" + strconv.Itoa(i) }
	refuse := func(scope, neighbour string) bound {
		return bound{
			refused:    edit{path: []any{scope}},
			wantErrors: []string{path + "[0]: Invalid value: " + strconv.Quote(scope) + ": " + syntax},
			accepted:   edit{path: []any{neighbour}},
		}
	}
	return bounds{
		"65 scopes": {
			refused:    edit{path: list(65, scope)},
			wantErrors: []string{"spec.scopes: Too many: 65: must have at most 64 items"},
			accepted:   edit{path: list(64, scope)},
		},
		"one scope twice": {
			refused:    edit{path: []any{"a", "a"}},
			wantErrors: []string{`spec.scopes[1]: Duplicate value: "a"`},
			accepted:   edit{path: []any{}},
		},
		"an empty scope": {
			refused:    edit{path: []any{""}},
			wantErrors: []string{"spec.scopes[0] in body should be at least 1 chars long"},
			accepted:   edit{path: []any{"a"}},
		},
		"a scope of 129 characters": {
			refused:    edit{path: []any{text(129)}},
			wantErrors: []string{"spec.scopes[0]: Too long: may not be more than 128 bytes"},
			accepted:   edit{path: []any{text(128)}},
		},
		"a scope with a space":      refuse("a b", "a:b"),
		"a scope with a quote":      refuse(`a"b`, "a'b"),
		"a scope with a backslash":  refuse(`a\\b`, "a[b]"),
		"a scope with a line break": refuse("a\n", "!#~"),
		"a scope that is not ASCII": refuse("ä", "https://api.example/read"),
	}
}

// urlBounds are those of the URL of a JWK Set. The edit makes an object with it.
func urlBounds(path string, with func(url string) edit) bounds {
	const message = "must be an https URL without user and fragment"
	refuse := func(url, neighbour string) bound {
		return bound{refused: with(url), wantErrors: []string{path + ": Invalid value: ", message}, accepted: with(neighbour)}
	}
	long := "https://a.example/" + text(1006)
	return bounds{
		path + " is empty":          {refused: with(""), wantErrors: []string{path + " in body should be at least 1 chars long"}, accepted: with("https://a")},
		path + " is too long":       {refused: with(long + "x"), wantErrors: []string{path + ": Too long: may not be more than 1024 bytes"}, accepted: with(long)},
		path + " is plain http":     refuse("http://a.example/jwks", "https://a.example/jwks"),
		path + " has a password":    refuse("https://u:p@a.example/jwks", "https://a.example/jwks@1"),
		path + " has a fragment":    refuse("https://a.example/jwks#1", "https://a.example/jwks?v=1"),
		path + " has no host":       refuse("https:///jwks", "https://a:8443"),
		path + " has a bad escape":  refuse("https://a.example/%zz", "https://a.example/%20"),
		path + " is no URL":         refuse("jwks", "https://a.example?jwks"),
		path + " has a line break":  refuse("https://a.example/\n", "https://a.example/"),
		path + " has a later break": refuse("https://a.example/a\nb", "https://a.example/ab"),
	}
}

// subdomainBounds are those of the names of Secrets, ConfigMaps and ServiceAccounts.
func subdomainBounds(path, message string) bounds {
	refuse := func(name, neighbour string) bound {
		return bound{
			refused:    edit{path: name},
			wantErrors: []string{path + `: Invalid value: "` + name + `": ` + message},
			accepted:   edit{path: neighbour},
		}
	}
	return join(lengthBounds(path, 253), bounds{
		path + " has an upper-case letter": refuse("Name", "name"),
		path + " has an underscore":        refuse("a_b", "a.b"),
		path + " ends in a dash":           refuse("a-", "a-0"),
		path + " is not ASCII":             refuse("schlüssel", "schluessel"),
		path + " is a path":                refuse("../x", "x"),
	})
}

// labelBounds are those of a DNS label.
func labelBounds(path, message string) bounds {
	return join(lengthBounds(path, 63), bounds{
		path + " has a dot": {
			refused:    edit{path: "a.b"},
			wantErrors: []string{path + `: Invalid value: "a.b": ` + message},
			accepted:   edit{path: "a-b"},
		},
		path + " is not ASCII": {
			refused:    edit{path: "ключ"},
			wantErrors: []string{path + `: Invalid value: "ключ": ` + message},
			accepted:   edit{path: "0"},
		},
	})
}

// duration tells what a field of type duration accepts: from least to most. Next to these are below and above.
type duration struct {
	path                      string
	below, least, most, above string
	longest                   string // what is accepted, where another field sets a narrower limit than most
}

func (d duration) bounds() bounds {
	message := "must be whole hours, minutes and seconds from " + d.least + " to " + d.most + ", written as in 90s or 1h30m"
	refuse := func(value, neighbour string) bound {
		return bound{
			refused:    edit{d.path: value},
			wantErrors: []string{d.path + ": Invalid value: ", message},
			accepted:   edit{d.path: neighbour},
		}
	}
	return bounds{
		d.path + " is shorter than lawful":   refuse(d.below, d.least),
		d.path + " is longer than lawful":    refuse(d.above, cmp.Or(d.longest, d.most)),
		d.path + " has half a second":        refuse("1.5s", "2s"),
		d.path + " has hours and a half":     refuse("1h0.5s", "1h0s"),
		d.path + " has a microsecond":        refuse("2s1us", "2s"),
		d.path + " is negative":              refuse("-1h", "1h"),
		d.path + " is in years":              refuse("10y", "10s"),
		d.path + " has no unit":              refuse("60", "60s"),
		d.path + " is empty":                 refuse("", "1m"),
		d.path + " has a space":              refuse("1m 30s", "1m30s"),
		d.path + " has an Arabic digit":      refuse("٣s", "3s"),
		d.path + " is beyond Go's durations": refuse("9999999h", "1h"),
		d.path + " is written at length": {
			refused:    edit{d.path: strings.Repeat("0", 31) + "2s"},
			wantErrors: []string{d.path + ": Too long: may not be more than 32 bytes"},
			accepted:   edit{d.path: strings.Repeat("0", 30) + "2s"},
		},
	}
}

// specInstantBounds are those of an instant that users write. Whatever they write, Go must be able to read it.
func specInstantBounds(path, example string) bounds {
	refuse := func(instant, neighbour string) bound {
		return bound{
			refused:    edit{path: instant},
			wantErrors: []string{path + ": Invalid value: ", "must be whole seconds from 1970 to 9999, written as in " + example},
			accepted:   edit{path: neighbour},
		}
	}
	malformed := func(instant, neighbour string) bound {
		return bound{
			refused:    edit{path: instant},
			wantErrors: []string{path + " in body must be of type date-time: " + strconv.Quote(instant)},
			accepted:   edit{path: neighbour},
		}
	}
	return bounds{
		path + " is a word":                           malformed("tomorrow", "2030-12-31T23:59:59Z"),
		path + " is on a day that is none":            malformed("2030-02-30T00:00:00Z", "2028-02-29T00:00:00Z"),
		path + " is without a zone":                   malformed("2030-12-31T23:59:59", "2030-12-31T23:59:59+02:00"),
		path + " is before 1970":                      refuse("1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
		path + " is in the year 0":                    refuse("0000-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
		path + " is in the year 10000 in UTC":         refuse("9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59Z"),
		path + " has half a second":                   refuse("2030-12-31T23:59:59.5Z", "2030-12-31T23:59:59.0Z"),
		path + " has a microsecond":                   refuse("2030-12-31T23:59:59.000001Z", "2030-12-31T23:59:59Z"),
		path + " is in lower case, unreadable for Go": refuse("2030-12-31t23:59:59z", "2030-12-31T23:59:59Z"),
		path + " has more text, unreadable for Go":    refuse("2030-12-31T23:59:59Zt+1", "2030-12-31T23:59:59Z"),
		path + " is in no zone that Go can read":      refuse("2030-12-31T23:59:59+99:99", "2030-12-31T23:59:59+14:00"),
	}
}

// mapBounds are those of the labels and annotations that users add. The keys are lawful for both.
func mapBounds(path, what string, most int) bounds {
	prefix := strings.Repeat(strings.Repeat("a", 62)+".", 4) + "a"
	with := func(key string) edit { return edit{path: map[string]any{key: "v"}} }
	refuse := func(key, neighbour string) bound {
		return bound{
			refused:    with(key),
			wantErrors: []string{path + ": Invalid value: keys must be qualified names, as " + what + " keys are"},
			accepted:   with(neighbour),
		}
	}
	return bounds{
		path + " are too many": {
			refused:    edit{path: entries(33, "v")},
			wantErrors: []string{path + ": Too many: 33: must have at most 32 items"},
			accepted:   edit{path: entries(32, "v")},
		},
		path + " have a value too long": {
			refused:    edit{path: map[string]any{"k": text(most + 1)}},
			wantErrors: []string{path + ".k: Too long: may not be more than "},
			accepted:   edit{path: map[string]any{"k": text(most)}},
		},
		path + " have a key with a space":       refuse("a b", "a-b"),
		path + " have an empty key":             refuse("", "a"),
		path + " have a key that is not ASCII":  refuse("größe", "groesse"),
		path + " have a key of two slashes":     refuse("a/b/c", "a/b"),
		path + " have a key with a long name":   refuse(prefix+"/"+text(64), prefix+"/"+text(63)),
		path + " have a key with a long domain": refuse(prefix+"a/"+text(63), prefix+"/"+text(63)),
		path + " have a reserved key": {
			refused:    with("keyturn.dev/signing-key"),
			wantErrors: []string{path + ": Invalid value: keys under keyturn.dev/ ", "reserved"},
			accepted:   with("my.keyturn.dev/signing-key"),
		},
	}
}

// labelValueBounds are what labels have beyond mapBounds.
func labelValueBounds(path string) bounds {
	return bounds{
		path + " have a value that no label may have": {
			refused:    edit{path: map[string]any{"k": "-v"}},
			wantErrors: []string{path + ".k in body should match "},
			accepted:   edit{path: map[string]any{"k": ""}},
		},
		path + " claim another manager": {
			refused:    edit{path: map[string]any{"app.kubernetes.io/managed-by": "me"}},
			wantErrors: []string{path + ": Invalid value: keys under keyturn.dev/ and app.kubernetes.io/managed-by are reserved"},
			accepted:   edit{path: map[string]any{"app.kubernetes.io/part-of": "me"}},
		},
	}
}

// selectorBounds are those of a label selector. The edits around it make it the only thing to judge.
func selectorBounds(path string, around edit) bounds {
	with := func(field string, value any) edit {
		return edit{path: map[string]any{field: value}}.and(around)
	}
	expression := func(operator string, values ...any) edit {
		e := map[string]any{"key": "k", "operator": operator}
		if len(values) > 0 {
			e["values"] = values
		}
		return with("matchExpressions", []any{e})
	}
	const (
		many      = "must have at most 16 matchLabels and 16 matchExpressions of at most 64 values each"
		labels    = "matchLabels must hold label keys, which are qualified names, and label values of at most 63 characters"
		operators = "operators must be In or NotIn with values, or Exists or DoesNotExist without"
	)
	exists := func(int) any { return map[string]any{"key": "k", "operator": "Exists"} }
	value := func(int) any { return "v" }
	refuse := func(message string, refused, accepted edit) bound {
		return bound{refused: refused, wantErrors: []string{path + ": Invalid value: " + message}, accepted: accepted}
	}
	return bounds{
		path + " has 17 labels":          refuse(many, with("matchLabels", entries(17, "v")), with("matchLabels", entries(16, "v"))),
		path + " has 17 expressions":     refuse(many, with("matchExpressions", list(17, exists)), with("matchExpressions", list(16, exists))),
		path + " has 65 values":          refuse(many, expression("In", list(65, value)...), expression("In", list(64, value)...)),
		path + " has a bad label key":    refuse(labels, with("matchLabels", map[string]any{"a b": "v"}), with("matchLabels", map[string]any{"a/b": "v"})),
		path + " has a long label value": refuse(labels, with("matchLabels", entries(1, text(64))), with("matchLabels", entries(1, text(63)))),
		path + " has no such operator":   refuse(operators, expression("Matches", "v"), expression("In", "v")),
		path + " has In without values":  refuse(operators, expression("In"), expression("Exists")),
		path + " has Exists with values": refuse(operators, expression("DoesNotExist", "v"), expression("NotIn", "v")),
		path + " has a bare expression": {
			refused:    with("matchExpressions", []any{map[string]any{}}),
			wantErrors: []string{path + ".matchExpressions[0].key: Required value", path + ".matchExpressions[0].operator: Required value"},
			accepted:   expression("Exists"),
		},
		path + " is empty but for a key": {
			refused:    with("matchExpressions", []any{map[string]any{"key": "k"}}),
			wantErrors: []string{path + ".matchExpressions[0].operator: Required value"},
			accepted:   edit{path: map[string]any{}}.and(around),
		},
	}
}
