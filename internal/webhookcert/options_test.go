package webhookcert

import (
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

func TestOptionsThatCannotWorkAreRefusedByName(t *testing.T) {
	cases := map[string]struct {
		change func(*Options)
		want   string
	}{
		"no namespace":                {func(o *Options) { o.Namespace = "" }, "namespace of the webhook certificate's Secret is empty"},
		"no configuration":            {func(o *Options) { o.WebhookConfiguration = "" }, "webhook configuration is empty"},
		"no names":                    {func(o *Options) { o.Names = nil }, "webhook names are empty"},
		"a URL for a name":            {func(o *Options) { o.Names = []string{"https://x"} }, `certificate name "https://x" is neither a DNS name`},
		"a further name that is none": {func(o *Options) { o.FurtherNames = []string{"a_b"} }, `certificate name "a_b" is neither`},
		"a propagation below 1s":      {func(o *Options) { o.Propagation = time.Millisecond }, "propagation is 1ms, less than 1s"},
		"a negative backdate":         {func(o *Options) { o.Backdate = -time.Second }, "backdate is -1s, less than 0s"},
		"a serving certificate too short to replace in time": {
			func(o *Options) { o.ServingLifetime = 359 * time.Second }, "serving lifetime is 5m59s, less than 6m0s",
		},
		"a negative overlap": {func(o *Options) { o.Overlap = -time.Second }, "overlap is -1s, less than 0s"},
		"a CA that its certificates would outlive": {
			func(o *Options) { o.CALifetime = 89 * day }, "CA lifetime is 2136h0m0s, less than 2160h0m0s",
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			options := testOptions()
			test.change(&options)
			_, err := New(nil, clock.RealClock{}, options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error that says %q", err, test.want)
			}
		})
	}
}

func TestOptionsHaveDefaults(t *testing.T) {
	options := Options{Namespace: "keyturn-system", WebhookConfiguration: "keyturn", Names: []string{"::1", "localhost"}}
	if _, err := New(nil, clock.RealClock{}, options); err != nil {
		t.Error(err)
	}
}
