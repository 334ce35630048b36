package app

import (
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

// complete reads flags as the program does.
func complete(t *testing.T, arguments ...string) (Options, error) {
	t.Helper()
	options := DefaultOptions()
	flags := flag.NewFlagSet("keyturn", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	options.BindFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		return options, err
	}
	return options, options.Complete()
}

func TestBadFlagsAreRefused(t *testing.T) {
	for what, test := range map[string]struct{ flag, want string }{
		"no namespace":                  {"--watch-namespaces=", `--watch-namespaces="": item 1 is empty: name a namespace, or leave the flag out to work in all`},
		"a comma too much":              {"--watch-namespaces=a,b,", `--watch-namespaces="a,b,": item 3 is empty`},
		"a space":                       {"--watch-namespaces=a, b", `--watch-namespaces: " b" is not the name of a namespace: a lowercase RFC 1123 label`},
		"an upper case letter":          {"--watch-namespaces=Shop", `--watch-namespaces: "Shop" is not the name of a namespace`},
		"one namespace twice":           {"--watch-namespaces=a,b,a", `--watch-namespaces: namespace "a" is named twice`},
		"a lease of half seconds":       {"--leader-elect-lease-duration=15.5s", "--leader-elect-lease-duration=15.5s: must be whole seconds, at least 1s"},
		"a lease that ends too early":   {"--leader-elect-lease-duration=10s", "--leader-elect-lease-duration=10s: must be more than 10s, --leader-elect-renew-deadline"},
		"a deadline without retries":    {"--leader-elect-renew-deadline=2s", "--leader-elect-renew-deadline=2s: must be more than 2.4s, 1.2 times --leader-elect-retry-period"},
		"no pause between retries":      {"--leader-elect-retry-period=0s", "--leader-elect-retry-period=0s: must be more than 0s"},
		"a delay that is over already":  {"--shutdown-delay=-1s", "--shutdown-delay=-1s: must not be negative"},
		"profiles for the network":      {"--pprof-bind-address=:6060", `--pprof-bind-address=":6060": must be a loopback address and a port`},
		"profiles for a name":           {"--pprof-bind-address=localhost:6060", `--pprof-bind-address="localhost:6060": must be a loopback address`},
		"an unknown way of certificate": {"--webhook-certificate=cert-manager", `must be "managed" or "external"`},
	} {
		t.Run(what, func(t *testing.T) {
			if _, err := complete(t, test.flag); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s gives %v\nwant %s", test.flag, err, test.want)
			}
		})
	}
}

func TestTheSmallestElectionOfATestIsTaken(t *testing.T) {
	options, err := complete(t, "--leader-elect-lease-duration=1s", "--leader-elect-renew-deadline=700ms", "--leader-elect-retry-period=200ms",
		"--shutdown-delay=0s", "--watch-namespaces=a,b-2", "--webhook-certificate=external")
	if err != nil {
		t.Fatal(err)
	}
	want := Election{LeaseDuration: time.Second, RenewDeadline: 700 * time.Millisecond, RetryPeriod: 200 * time.Millisecond}
	if options.Election != want || options.ShutdownDelay != 0 || !options.ExternalCertificate {
		t.Errorf("the options are %+v", options)
	}
	for namespace, watched := range map[string]bool{"a": true, "b-2": true, "b": false, "keyturn-system": false} {
		if options.Operator.Watches(namespace) != watched {
			t.Errorf("namespace %s is watched: %v, want %v", namespace, !watched, watched)
		}
	}
}

func TestTheDefaultsAreInOrder(t *testing.T) {
	options, err := complete(t)
	if err != nil || !options.Operator.Watches("anything") {
		t.Errorf("the defaults give %v and %+v", err, options)
	}
}
