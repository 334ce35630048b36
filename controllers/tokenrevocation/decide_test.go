package tokenrevocation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/denylist"
	domain "github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/internal/spec"
)

const issuer = "https://shop.example"

func start() time.Time { return time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC) }

// revoked is a TokenRevocation that was created so long after the start and lasts an hour.
func revoked(name string, after time.Duration, what v1alpha1.TokenRevocationSpec) denylist.Revoked {
	object := &v1alpha1.TokenRevocation{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.Time{Time: start().Add(after)}}, Spec: what,
	}
	return denylist.Revoked{Object: object, Entry: spec.Revocation(object, time.Hour)}
}

func mustDecide(t *testing.T, parts denylist.Gathered, now time.Time) plan {
	t.Helper()
	p, err := decide(issuer, parts, now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhatIsOverIsPublishedNoMoreAndTheNextIsAwaited(t *testing.T) {
	parts := denylist.Gathered{
		Keys:        []domain.Entry{{Kind: domain.KeyID, Value: "k1", Until: start().Add(30 * time.Minute)}},
		Revocations: []denylist.Revoked{revoked("a", 0, v1alpha1.TokenRevocationSpec{TokenID: "a"}), revoked("b", time.Minute, v1alpha1.TokenRevocationSpec{TokenID: "b"})},
	}
	endOfA := start().Add(time.Hour + time.Second)
	for sentence, c := range map[string]struct {
		now       time.Time
		published []string
		over      []bool
		next      time.Time
	}{
		"at first":                {start(), []string{"k1", "a", "b"}, []bool{false, false}, start().Add(30 * time.Minute)},
		"the key is over":         {start().Add(30 * time.Minute), []string{"a", "b"}, []bool{false, false}, endOfA},
		"the second before":       {endOfA.Add(-time.Second), []string{"a", "b"}, []bool{false, false}, endOfA},
		"the first is over":       {endOfA, []string{"b"}, []bool{true, false}, endOfA.Add(time.Minute)},
		"all are":                 {endOfA.Add(time.Minute), nil, []bool{true, true}, time.Time{}},
		"all have been for years": {endOfA.AddDate(3, 0, 0), nil, []bool{true, true}, time.Time{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := mustDecide(t, parts, c.now)
			var published []string
			for _, value := range []string{"k1", "a", "b"} {
				if strings.Contains(p.document, `"`+value+`"`) {
					published = append(published, value)
				}
			}
			if !slices.Equal(published, c.published) || !slices.Equal(p.over, c.over) || !p.next.Equal(c.next) {
				t.Errorf("published %v, over %v, next %s: want %v, %v, %s", published, p.over, p.next, c.published, c.over, c.next)
			}
		})
	}
}

func TestTheNewestDoNotFit(t *testing.T) {
	parts := denylist.Gathered{Keys: []domain.Entry{{Kind: domain.KeyID, Value: "k1"}}}
	const many = domain.MaxEntries + 2
	for i := range many {
		parts.Revocations = append(parts.Revocations, revoked(fmt.Sprint(i), time.Duration(i)*time.Second, v1alpha1.TokenRevocationSpec{TokenID: fmt.Sprint("id-", i, ".")}))
	}
	p := mustDecide(t, parts, start())
	for i, unpublished := range p.unpublished {
		if want := i >= domain.MaxEntries-1; unpublished != want || strings.Contains(p.document, fmt.Sprint("id-", i, ".")) == want {
			t.Fatalf("of %d and a key, number %d is left out: %v", many, i, unpublished)
		}
	}
	// The first ones go, and there is room for the others.
	p = mustDecide(t, parts, parts.Revocations[2].Entry.Until)
	if slices.Contains(p.unpublished, true) {
		t.Error("one is left out although there is room for all that are not over")
	}
}

func TestARevocationIsTakenBackWhereADocumentDeniesLess(t *testing.T) {
	a, b := domain.Entry{Kind: domain.Subject, Value: "a", IssuedBefore: start(), Until: start().Add(time.Hour)}, domain.Entry{IssuedBefore: start()}
	earlier, always := a, a
	earlier.IssuedBefore, always.IssuedBefore = start().Add(-time.Second), time.Time{}
	write := func(entries ...domain.Entry) string {
		document, err := domain.Compile(entries, start()).Encode(issuer)
		if err != nil {
			t.Fatal(err)
		}
		return string(document)
	}
	for sentence, c := range map[string]struct {
		before, after string
		now           time.Time
		want          bool
	}{
		"the same":                           {write(a, b), write(b, a), start(), false},
		"more":                               {write(a), write(a, b), start(), false},
		"one less":                           {write(a, b), write(b), start(), true},
		"one less that is over":              {write(a, b), write(b), start().Add(time.Hour), false},
		"an earlier instant":                 {write(a), write(earlier), start(), true},
		"a later one":                        {write(earlier), write(a), start(), false},
		"the whole time":                     {write(a), write(always), start(), false},
		"an instant instead of it":           {write(always), write(a), start(), true},
		"where nobody knows what was before": {"nonsense", write(), start(), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := takesBack(c.before, c.after, c.now); got != c.want {
				t.Errorf("got %v, want %v: before %s, after %s", got, c.want, c.before, c.after)
			}
		})
	}
}
