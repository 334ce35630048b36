package webhookcert

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const day = 24 * time.Hour

// Without backdating, instants read as they are written: the CA falls due after 60 days, a serving certificate after 20.
func testOptions() Options {
	return Options{
		Namespace:            "keyturn-system",
		SecretName:           DefaultName,
		WebhookConfiguration: "keyturn",
		Names:                []string{"keyturn-webhook.keyturn-system.svc", "127.0.0.1"},
		CALifetime:           90 * day,
		ServingLifetime:      30 * day,
		Propagation:          time.Minute,
		Overlap:              time.Minute,
	}
}

func testStart() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }

// build carries out plans one after the other, each at its own instant.
func build(t testing.TB, steps ...func(Material, Options) (Material, error)) Material {
	t.Helper()
	var material Material
	for _, step := range steps {
		next, err := step(material, testOptions())
		if err != nil {
			t.Fatal(err)
		}
		material = next
	}
	return material
}

func generatedAt(plan Plan, at time.Time) func(Material, Options) (Material, error) {
	return func(have Material, want Options) (Material, error) { return plan.generate(have, want, at) }
}

func TestDecide(t *testing.T) {
	start := testStart()
	at := start.Add
	both, newCA, newServing := Plan{RenewCA: true, IssueServing: true}, Plan{RenewCA: true}, Plan{IssueServing: true}

	fresh := build(t, generatedAt(both, start))
	renewedCA := build(t, generatedAt(both, start), generatedAt(newServing, at(59*day)), generatedAt(newCA, at(60*day)))
	lostKey := fresh
	lostKey.signer = nil
	lostServing := fresh
	lostServing.serving = nil
	renamed := testOptions()
	renamed.Names = append(renamed.Names, "keyturn.example.org")
	copied, copiedAndRenamed := testOptions(), renamed
	copied.Overlap, copiedAndRenamed.Overlap = 5*day, 5*day
	patient := testOptions()
	patient.Overlap = 50 * day
	shorter := testOptions()
	shorter.CALifetime, shorter.ServingLifetime = 3*day, day

	cases := map[string]struct {
		have Material
		seen Sightings
		want *Options
		now  time.Time
		plan Plan
	}{
		"an empty Secret gets a CA and a certificate in one step": {
			now: start, plan: Plan{RenewCA: true, IssueServing: true, Next: start},
		},
		"a fresh certificate is left alone until it has lived two thirds of its life": {
			have: fresh, now: start, plan: Plan{Next: at(20 * day)},
		},
		"a certificate is renewed after two thirds of its life": {
			have: fresh, now: at(20 * day), plan: Plan{IssueServing: true, Next: at(20 * day)},
		},
		"a certificate whose CA nobody has seen yet is renewed by that CA all the same, because nothing changes for callers": {
			have: fresh, seen: Sightings{}, now: at(25 * day), plan: Plan{IssueServing: true, Next: at(25 * day)},
		},
		"one nanosecond before two thirds nothing happens": {
			have: fresh, now: at(20*day - 1), plan: Plan{Next: at(20 * day)},
		},
		"other lifetimes do not replace what is still good, so that two releases side by side do not contend": {
			have: fresh, want: &shorter, now: at(10 * day), plan: Plan{Next: at(20 * day)},
		},
		"a certificate is good until the end of the second at which it expires": {
			have: fresh, now: at(30 * day), plan: Plan{IssueServing: true, Next: at(30 * day)},
		},
		"an expired certificate is replaced at once": {
			have: fresh, now: at(30*day + time.Second), plan: Plan{IssueServing: true, Next: at(30*day + time.Second)},
		},
		"a certificate from the future, of a clock that was wrong, is replaced with its CA": {
			have: fresh, now: at(-day), plan: Plan{RenewCA: true, IssueServing: true, Next: at(-day)},
		},
		"a missing name is added, and the names of the other release stay": {
			have: fresh, want: &renamed, now: at(day), plan: Plan{IssueServing: true, KeepNames: true, Next: at(day)},
		},
		"a lost CA key costs the CA but not the certificate that can still be served": {
			have: lostKey, now: at(day), plan: Plan{RenewCA: true, Next: at(day)},
		},
		"a lost certificate is issued again by the present CA": {
			have: lostServing, now: at(day), plan: Plan{IssueServing: true, Next: at(day)},
		},
		"a new CA that no configuration holds signs nothing while the old certificate can be served": {
			have: renewedCA, now: at(60 * day), plan: Plan{Next: at(89*day + time.Second)},
		},
		"a new CA signs when it has been seen for the propagation": {
			have: renewedCA, seen: Sightings{}.Update(renewedCA.authorities, at(61*day)),
			now: at(61*day + time.Minute), plan: Plan{IssueServing: true, Next: at(61*day + time.Minute)},
		},
		"a new CA waits for the whole propagation": {
			have: renewedCA, seen: Sightings{}.Update(renewedCA.authorities, at(61*day)),
			now: at(61*day + time.Minute - 1), plan: Plan{Next: at(61*day + time.Minute)},
		},
		"a new CA waits for those who keep a copy of it": {
			have: renewedCA, want: &copied, seen: Sightings{}.Update(renewedCA.authorities, at(60*day)),
			now: at(65*day - 1), plan: Plan{Next: at(65 * day)},
		},
		"and signs after the overlap, also if nothing was remembered since": {
			have: renewedCA, want: &copied, seen: Sightings{}.Update(renewedCA.authorities, at(65*day-time.Minute)),
			now: at(65 * day), plan: Plan{IssueServing: true, Next: at(65 * day)},
		},
		"a certificate that comes to its end does not wait for copies": {
			have: renewedCA, want: &patient, seen: Sightings{}.Update(renewedCA.authorities, at(84*day-time.Minute)),
			now: at(84 * day), plan: Plan{IssueServing: true, Next: at(84 * day)},
		},
		"a missing name does not wait for copies": {
			have: renewedCA, want: &copiedAndRenamed, seen: Sightings{}.Update(renewedCA.authorities, at(61*day)),
			now: at(61*day + time.Minute), plan: Plan{IssueServing: true, Next: at(61*day + time.Minute)},
		},
		"a missing name waits for the propagation too": {
			have: renewedCA, want: &renamed, seen: Sightings{}.Update(renewedCA.authorities, at(61*day)),
			now: at(61 * day), plan: Plan{Next: at(61*day + time.Minute)},
		},
		"a new CA that was never seen signs once the old certificate has expired": {
			have: renewedCA, now: at(89*day + time.Second), plan: Plan{IssueServing: true, Next: at(89*day + time.Second)},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			want := testOptions()
			if test.want != nil {
				want = *test.want
			}
			got := Decide(test.have, test.seen, want, test.now)
			if got.generates() == (got.Reason == "") {
				t.Errorf("plan %+v: a reason is given when something is generated, and only then", got)
			}
			got.Reason = ""
			if diff := cmp.Diff(test.plan, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARenewedCAKeepsTheOldOneUntilItExpires(t *testing.T) {
	start := testStart()
	both, newCA := Plan{RenewCA: true, IssueServing: true}, Plan{RenewCA: true}
	for name, test := range map[string]struct {
		renewed time.Time
		holds   int
	}{
		"at the last second of the old one": {renewed: start.Add(90 * day), holds: 2},
		"a second later":                    {renewed: start.Add(90*day + time.Second), holds: 1},
	} {
		t.Run(name, func(t *testing.T) {
			material := build(t, generatedAt(both, start), generatedAt(newCA, test.renewed))
			if got := len(material.authorities); got != test.holds {
				t.Errorf("the bundle holds %d authorities, want %d", got, test.holds)
			}
		})
	}
}

func TestACertificateNeverOutlivesItsCA(t *testing.T) {
	late := testStart().Add(89 * day)
	material := build(t, generatedAt(Plan{RenewCA: true}, testStart()), generatedAt(Plan{IssueServing: true}, late))
	if got, want := material.serving.Leaf.NotAfter, material.authorities[0].NotAfter; !got.Equal(want) {
		t.Errorf("certificate issued a day before its CA expires at %s ends at %s", want, got)
	}
}

func TestBackdatingReachesBackATenthOfALifeAtMost(t *testing.T) {
	for name, test := range map[string]struct{ backdate, want time.Duration }{
		"an hour":                {backdate: time.Hour, want: time.Hour},
		"more than a short life": {backdate: 100 * day, want: 3 * day},
	} {
		t.Run(name, func(t *testing.T) {
			options := testOptions()
			options.Backdate = test.backdate
			material, err := Plan{RenewCA: true, IssueServing: true}.generate(Material{}, options, testStart())
			if err != nil {
				t.Fatal(err)
			}
			if got := testStart().Sub(material.serving.Leaf.NotBefore); got != test.want {
				t.Errorf("certificate is valid from %s before its issue, want %s", got, test.want)
			}
			if got := Decide(material, nil, options, testStart()); got.generates() {
				t.Errorf("a certificate just issued is due again: %s", got.Reason)
			}
		})
	}
}

// Whatever is in the Secret, the plans of one instant come to an end, and what they leave can be served and is left alone for
// a while. Broken on purpose by expiry at NotAfter itself, by backdating without the bound of a tenth, or by issuing by a CA
// that has expired.
func TestEveryStateIsMendedAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var have Material
		now, seen := testStart(), Sightings{}
		for range rapid.IntRange(0, 5).Draw(t, "earlier passes") {
			options := drawOptions(t)
			now = now.Add(time.Duration(rapid.Int64Range(int64(-100*day), int64(200*day)).Draw(t, "later")))
			have, _, _ = converge(have, seen, options, now)
			if rapid.Bool().Draw(t, "seen") {
				seen = seen.Update(have.authorities, now)
			}
			have = damage(t, have)
		}
		options := drawOptions(t)
		after, _, err := converge(have, seen, options, now)
		if err != nil {
			t.Fatal(err)
		}
		if !after.canServe(now) || !after.canSign(now) {
			t.Fatal("what the plans left cannot be served or cannot sign")
		}
		plan := Decide(after, seen, options, now)
		if plan.generates() || !plan.Next.After(now) {
			t.Fatalf("at %s the plans do not come to an end: %+v", now, plan)
		}
	})
}

func drawOptions(t *rapid.T) Options {
	options := testOptions()
	options.Propagation = time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "propagation"))
	options.ServingLifetime = 6*options.Propagation + time.Duration(rapid.Int64Range(0, int64(90*day)).Draw(t, "serving lifetime"))
	options.Overlap = time.Duration(rapid.Int64Range(1, int64(90*day)).Draw(t, "overlap"))
	options.CALifetime = 3*options.ServingLifetime + time.Duration(rapid.Int64Range(0, int64(365*day)).Draw(t, "CA lifetime"))
	options.Backdate = time.Duration(rapid.Int64Range(0, int64(day)).Draw(t, "backdate"))
	return options
}

func damage(t *rapid.T, have Material) Material {
	switch rapid.IntRange(0, 5).Draw(t, "damage") {
	case 0:
		have.signer = nil
	case 1:
		have.serving = nil
	case 2:
		have.signer, have.authorities = nil, nil
	}
	return have
}
