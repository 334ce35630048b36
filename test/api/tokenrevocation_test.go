package api_test

import "testing"

func TestTokenRevocationBounds(t *testing.T) {
	join(
		tokenRevocationBounds(),
		labelBounds("spec.signingKeyName", "must be a DNS label, as SigningKey names are"),
		about("spec.tokenID", 255),
		lengthBounds("spec.subject", 320),
		lengthBounds("spec.clientID", 320),
		lengthBounds("spec.reason", 256),
		specInstantBounds("spec.issuedBefore", "2026-12-31T23:59:59Z"),
		tokenRevocationUpdates(),
		commonStatusBounds(),
		instantBounds("status.issuedBefore"),
		instantBounds("status.expiresAt"),
	).check(t, tokenRevocation)
}

// about are the bounds of a text beside which there is no instant.
func about(path string, most int) bounds {
	found := bounds{}
	for sentence, b := range lengthBounds(path, most) {
		b.refused, b.accepted = b.refused.and(edit{"spec.issuedBefore": nil}), b.accepted.and(edit{"spec.issuedBefore": nil})
		found[sentence] = b
	}
	return found
}

func tokenRevocationBounds() bounds {
	const (
		before = "spec.issuedBefore"
		most   = "spec: Invalid value: at most one of tokenID, subject, clientID and keyID may be set"
		one    = "spec: Invalid value: one of tokenID, subject, clientID, keyID and issuedBefore must be set; issuedBefore alone takes back every token of the issuer"
	)
	return bounds{
		"no spec": {
			refused:    edit{"spec": nil},
			wantErrors: []string{"spec: Required value"},
			accepted:   edit{"metadata.name": "a.subdomain"},
		},
		"no key": {
			refused:    edit{"spec.signingKeyName": nil},
			wantErrors: []string{"spec.signingKeyName: Required value"},
			accepted:   edit{"spec.signingKeyName": "unknown"},
		},
		"nothing that is taken back": {
			refused:    edit{before: nil},
			wantErrors: []string{one},
			accepted:   edit{before: nil, "spec.subject": "alice"},
		},
		"nothing but a reason": {
			refused:    edit{before: nil, "spec.reason": "why not"},
			wantErrors: []string{one},
			accepted:   edit{before: nil, "spec.clientID": "shop.till", "spec.reason": "why not"},
		},
		"a subject and a client": {
			refused:    edit{"spec.subject": "alice", "spec.clientID": "shop.till"},
			wantErrors: []string{most},
			accepted:   edit{"spec.clientID": "shop.till"},
		},
		"a token and a key": {
			refused:    edit{before: nil, "spec.tokenID": "id", "spec.keyID": text(43)},
			wantErrors: []string{most},
			accepted:   edit{before: nil, "spec.keyID": text(43)},
		},
		"an instant for one token": {
			refused:    edit{"spec.tokenID": "id"},
			wantErrors: []string{"spec.issuedBefore: Invalid value: ", "issuedBefore has no meaning beside tokenID"},
			accepted:   edit{before: nil, "spec.tokenID": "id"},
		},
		"a key ID of 42 characters": {
			refused:    edit{"spec.keyID": text(42)},
			wantErrors: []string{"spec.keyID in body should be at least 43 chars long"},
			accepted:   edit{"spec.keyID": text(43)},
		},
		"a key ID of 44 characters": {
			refused:    edit{"spec.keyID": text(44)},
			wantErrors: []string{"spec.keyID: Too long: may not be more than 43 bytes"},
			accepted:   edit{"spec.keyID": text(43)},
		},
		"a key ID that is not base64url": {
			refused:    edit{"spec.keyID": text(42) + "+"},
			wantErrors: []string{"spec.keyID in body should match '^[A-Za-z0-9_-]{43}$'"},
			accepted:   edit{"spec.keyID": text(42) + "-"},
		},
	}
}

func tokenRevocationUpdates() bounds {
	change := func(before, refused edit) bound {
		return bound{
			before:     before,
			refused:    refused,
			wantErrors: []string{"spec: Forbidden: a TokenRevocation cannot be changed: create another one"},
			accepted:   edit{"metadata.annotations": map[string]any{"keyturn.dev/force-delete": "true"}, "metadata.finalizers": []any{"example.com/x"}},
		}
	}
	subject := edit{"spec.subject": "alice"}
	return bounds{
		"another subject":             change(subject, edit{"spec.subject": "bob"}),
		"a later instant":             change(subject, edit{"spec.issuedBefore": "2026-01-01T00:00:01Z"}),
		"another key":                 change(subject, edit{"spec.signingKeyName": "other"}),
		"another reason":              change(subject, edit{"spec.reason": "because"}),
		"an instant that goes":        change(subject, edit{"spec.issuedBefore": nil}),
		"a subject that goes":         change(subject, edit{"spec.subject": nil}),
		"a subject that comes":        change(edit{}, subject),
		"an instant that comes later": change(edit{"spec.issuedBefore": nil}.and(subject), edit{"spec.issuedBefore": "2026-01-01T00:00:00Z"}),
	}
}
