package api_test

import (
	"strconv"
	"testing"
)

func TestServiceTokenBounds(t *testing.T) {
	join(
		serviceTokenBounds(),
		subjectBounds(),
		audienceBounds(),
		lifeBounds(),
		keyRefBounds(),
		subdomainBounds("spec.secretName", "must be a lower-case RFC 1123 subdomain, as Secret names are"),
		mapBounds("spec.secretTemplate.labels", "label", 63),
		labelValueBounds("spec.secretTemplate.labels"),
		mapBounds("spec.secretTemplate.annotations", "annotation", 1024),
		secretDataBounds(),
		serviceTokenStatusBounds(),
	).check(t, serviceToken)
}

func serviceTokenBounds() bounds {
	return bounds{
		"no spec": {
			refused:    edit{"spec": nil},
			wantErrors: []string{"spec: Required value"},
			accepted:   edit{},
		},
		"a name that is not ASCII": {
			refused:    edit{"metadata.name": "жетон"},
			wantErrors: []string{`metadata.name: Invalid value: "жетон": a lowercase RFC 1123 subdomain must consist of`},
			accepted:   edit{"metadata.name": "a.b"},
		},
		"257 claims": {
			refused:    edit{"spec.claims": entries(257, true)},
			wantErrors: []string{"spec.claims: Too many: 257: must have at most 256 items"},
			accepted:   edit{"spec.claims": entries(256, true)},
		},
		"a profile that does not exist": {
			refused:    edit{"spec.profile": "IDToken"},
			wantErrors: []string{`spec.profile: Unsupported value: "IDToken": supported values: "JWT", "AccessToken"`},
			accepted:   edit{"spec.profile": "AccessToken"},
		},
	}
}

func subjectBounds() bounds {
	const (
		account  = "spec.serviceAccountName"
		subject  = "spec.subject"
		one      = "spec: Invalid value: exactly one of serviceAccountName and subject must be set"
		controls = "must not contain control characters"
	)
	found := join(lengthBounds(subject, 255), bounds{
		"both a ServiceAccount and a subject": {
			refused:    edit{account: "robot", subject: "alice"},
			wantErrors: []string{one},
			accepted:   edit{account: "robot", subject: nil},
		},
		"neither a ServiceAccount nor a subject": {
			refused:    edit{account: nil, subject: nil},
			wantErrors: []string{one},
			accepted:   edit{account: nil, subject: "alice"},
		},
		"a subject with a line break": {
			refused:    edit{subject: "a\nb"},
			wantErrors: []string{`spec.subject: Invalid value: "a\nb": ` + controls},
			accepted:   edit{subject: "a b"},
		},
		"a subject with a NUL": {
			refused:    edit{subject: "a\x00"},
			wantErrors: []string{"spec.subject: Invalid value: ", controls},
			accepted:   edit{subject: "Ålice 🔑"},
		},
		"a subject with DEL": {
			refused:    edit{subject: "a\x7f"},
			wantErrors: []string{"spec.subject: Invalid value: ", controls},
			accepted:   edit{subject: "a~"},
		},
	})
	for sentence, b := range subdomainBounds(account, "must be a lower-case RFC 1123 subdomain, as ServiceAccount names are") {
		b.refused, b.accepted = b.refused.and(edit{subject: nil}), b.accepted.and(edit{subject: nil})
		found[sentence] = b
	}
	return found
}

func audienceBounds() bounds {
	const path = "spec.audiences"
	audience := func(i int) any { return "api-" + strconv.Itoa(i) }
	return bounds{
		"no audiences": {
			refused:    edit{path: nil},
			wantErrors: []string{"spec.audiences: Required value"},
			accepted:   edit{path: list(1, audience)},
		},
		"an empty list of audiences": {
			refused:    edit{path: []any{}},
			wantErrors: []string{"spec.audiences in body should have at least 1 items"},
			accepted:   edit{path: list(1, audience)},
		},
		"17 audiences": {
			refused:    edit{path: list(17, audience)},
			wantErrors: []string{"spec.audiences: Too many: 17: must have at most 16 items"},
			accepted:   edit{path: list(16, audience)},
		},
		"one audience twice": {
			refused:    edit{path: []any{"a", "a"}},
			wantErrors: []string{`spec.audiences[1]: Duplicate value: "a"`},
			accepted:   edit{path: []any{"a", "A"}},
		},
		"an empty audience": {
			refused:    edit{path: []any{""}},
			wantErrors: []string{"spec.audiences[0] in body should be at least 1 chars long"},
			accepted:   edit{path: []any{"a"}},
		},
		"an audience of 513 characters": {
			refused:    edit{path: []any{text(513)}},
			wantErrors: []string{"spec.audiences[0]: Too long: may not be more than 512 bytes"},
			accepted:   edit{path: []any{text(512)}},
		},
		"an audience with a tab": {
			refused:    edit{path: []any{"a\tb"}},
			wantErrors: []string{`spec.audiences[0]: Invalid value: "a\tb": must not contain control characters`},
			accepted:   edit{path: []any{"https://a.example/b?c#d"}},
		},
	}
}

// lifeBounds are those of duration, renewBefore and expiresAt.
func lifeBounds() bounds {
	const (
		life        = "spec.duration"
		renewBefore = "spec.renewBefore"
		longer      = "spec.renewBefore: Invalid value: "
	)
	return join(
		duration{path: life, below: "0s", least: "1s", most: "8760h", above: "8760h1s"}.bounds(),
		duration{path: renewBefore, below: "0s", least: "1s", most: "8760h", above: "8760h1s", longest: "8759h59m59s"}.bounds(),
		bounds{
			"a renewal as soon as the token is issued": {
				refused:    edit{life: "1h", renewBefore: "60m"},
				wantErrors: []string{longer, "renewBefore must be shorter than duration, or the token would be renewed without end"},
				accepted:   edit{life: "1h", renewBefore: "59m59s"},
			},
			"a renewal before a token of the default duration is issued": {
				refused:    edit{life: nil, renewBefore: "1h1s"},
				wantErrors: []string{longer, "renewBefore must be shorter than duration"},
				accepted:   edit{life: nil, renewBefore: "59m"},
			},
		},
		specInstantBounds("spec.expiresAt", "2030-12-31T23:59:59Z"),
	)
}

func secretDataBounds() bounds {
	const (
		path = "spec.secretTemplate.data"
		keys = "keys must be at most 253 letters, digits, '-', '_' and '.', and not begin with two dots, as Secret keys do"
	)
	with := func(key string) edit { return edit{path: map[string]any{key: "{{ .Token }}"}} }
	refuse := func(key, neighbour string) bound {
		return bound{refused: with(key), wantErrors: []string{path + ": Invalid value: " + keys}, accepted: with(neighbour)}
	}
	return bounds{
		"17 further keys": {
			refused:    edit{path: entries(17, "v")},
			wantErrors: []string{path + ": Too many: 17: must have at most 16 items"},
			accepted:   edit{path: entries(16, "v")},
		},
		"a template of 8193 characters": {
			refused:    edit{path: map[string]any{"k": text(8193)}},
			wantErrors: []string{path + ".k: Too long: may not be more than 8192 bytes"},
			accepted:   edit{path: map[string]any{"k": text(8192)}},
		},
		"a template under the key token": {
			refused:    with("token"),
			wantErrors: []string{path + ": Invalid value: the key token is reserved for the token itself"},
			accepted:   with("Token"),
		},
		"a Secret key with a slash":        refuse("a/b", "a.b"),
		"a Secret key that is not ASCII":   refuse("clé", "cle"),
		"a Secret key that is one dot":     refuse(".", ".a"),
		"a Secret key that begins with ..": refuse("..a", ".a."),
		"a Secret key of 254 characters":   refuse(text(254), text(253)),
		"a Secret key that is empty":       refuse("", "_"),
	}
}
