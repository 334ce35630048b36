package denylist_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/denylist"
)

const issuer = "https://orders.example.com"

func encode(t interface{ Fatal(...any) }, entries []denylist.Entry) []byte {
	document, err := denylist.Compile(entries, at(-100)).Encode(issuer)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestTheDocumentIsAsItIsDescribed(t *testing.T) {
	got := string(encode(t, []denylist.Entry{
		{Kind: denylist.Subject, Value: "alice", IssuedBefore: at(1), Until: at(3600)},
		{Kind: denylist.TokenID, Value: "one", Until: at(3600)},
		{Kind: denylist.KeyID, Value: "k1"},
		{IssuedBefore: at(2), Until: at(3600)},
		{Kind: denylist.ClientID, Value: "shop.web", IssuedBefore: at(1), Until: at(3600)},
	}))
	want := `{"version":1,"issuer":"https://orders.example.com","revocations":[` +
		`{"issuedBefore":1800000002,"until":1800003600},` +
		`{"client_id":"shop.web","issuedBefore":1800000001,"until":1800003600},` +
		`{"jti":"one","until":1800003600},` +
		`{"kid":"k1"},` +
		`{"sub":"alice","issuedBefore":1800000001,"until":1800003600}]}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	if got, want := string(encode(t, nil)), `{"version":1,"issuer":"https://orders.example.com","revocations":[]}`; got != want {
		t.Errorf("nothing is %s, want %s", got, want)
	}
}

func TestTheSameEntriesAreTheSameDocumentAndReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := drawEntries(t)
		shuffled := rapid.Permutation(entries).Draw(t, "shuffled")
		document := encode(t, entries)
		if diff := cmp.Diff(string(document), string(encode(t, shuffled))); diff != "" {
			t.Fatalf("in another order (-before +after):\n%s", diff)
		}
		read, err := denylist.Decode(document)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(document), string(encode(t, read))); diff != "" {
			t.Fatalf("read back (-before +after):\n%s", diff)
		}
	})
}

func TestADocumentHasRoomForSoMuch(t *testing.T) {
	long := func(n, length int) []denylist.Entry {
		var entries []denylist.Entry
		for i := range n {
			value := fmt.Sprintf("%05d", i) + strings.Repeat("x", length-5)
			entries = append(entries, denylist.Entry{Kind: denylist.Subject, Value: value, IssuedBefore: at(1), Until: at(3600)})
		}
		return entries
	}
	for sentence, c := range map[string]struct {
		entries []denylist.Entry
		want    func(fitting int) bool
	}{
		"a few":            {long(3, 320), func(n int) bool { return n == 3 }},
		"as many as count": {long(denylist.MaxEntries, 10), func(n int) bool { return n == denylist.MaxEntries }},
		"one more":         {long(denylist.MaxEntries+1, 10), func(n int) bool { return n == denylist.MaxEntries }},
		"too long ones":    {long(denylist.MaxEntries, 320), func(n int) bool { return n > 2000 && n < 3000 }},
	} {
		t.Run(sentence, func(t *testing.T) {
			n, err := denylist.Fitting(issuer, c.entries)
			if err != nil || !c.want(n) {
				t.Fatalf("%d of %d fit, error %v", n, len(c.entries), err)
			}
			if size := len(encode(t, slices.Clone(c.entries[:n]))); size > denylist.MaxBytes {
				t.Errorf("%d entries are %d bytes, want at most %d", n, size, denylist.MaxBytes)
			}
		})
	}
}

func TestWhatIsNoDocumentIsNotRead(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"version":2,"revocations":[]}`, `{"revocations":[]}`} {
		if entries, err := denylist.Decode([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, entries)
		}
	}
}
