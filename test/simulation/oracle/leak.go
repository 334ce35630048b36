package oracle

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/simulation/apiserver"
)

func signature(compact string) string { return compact[strings.LastIndex(compact, ".")+1:] }

// Said observes what the operator logs, tells in an event or returns as an error.
func (o *Oracle) Said(now time.Time, where, text string) {
	o.now = now
	o.search(where, text)
}

// searchObject looks into what the operator writes for everybody to read.
func (o *Oracle) searchObject(e apiserver.Event) {
	switch object := e.New.(type) {
	case *corev1.ConfigMap:
		for _, v := range object.Data {
			o.search(e.Name.String(), v)
		}
	case *v1alpha1.SigningKey:
		raw, _ := json.Marshal(object.Status) //nolint:errchkjson // A status can be written as JSON, or it would not be stored.
		o.search(e.Name.String(), string(raw))
	case *v1alpha1.ServiceToken:
		raw, _ := json.Marshal(object.Status) //nolint:errchkjson // As above.
		o.search(e.Name.String(), string(raw))
	}
}

func (o *Oracle) search(where, text string) {
	o.Checks++
	if strings.Contains(text, `"d":`) || strings.Contains(text, "PRIVATE KEY") || o.compact.MatchString(text) {
		o.violated(NothingLeaks, "%s shows a private key or a token", where)
		return
	}
	for _, secret := range o.private {
		if strings.Contains(text, secret) {
			o.violated(NothingLeaks, "%s shows the private half of a key", where)
			return
		}
	}
}

// remember keeps the latest private halves.
func (o *Oracle) remember(private []string) {
	const most = 20
	for _, d := range private {
		if !slices.Contains(o.private, d) {
			o.private = append(o.private, d)
		}
	}
	o.private = o.private[max(0, len(o.private)-most):]
}
