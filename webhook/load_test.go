package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// object is one of a kind, with these members beside kind and name.
func object(apiVersion, kind, members string) string {
	return fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"generateName":"load-"%s`, apiVersion, kind, members)
}

// TestAPIServerAnswersWhateverIsAppliedToIt creates the largest objects that an API server takes, and such as it does not, four at once: each
// is created or refused, and none waits in vain for a webhook.
func TestAPIServerAnswersWhateverIsAppliedToIt(t *testing.T) {
	s := serveAPI(t, map[string]string{v1alpha1.LabelVerifyPods: "enabled"})
	key := signingKey(s.bank, "main")
	r := s.issued(key)
	const ours = "keyturn.dev/v1alpha1"
	secret := func(token string) string {
		return object("v1", "Secret", `},"type":"keyturn.dev/token","data":{"token":"`+token+`"}}`)
	}
	token := `"spec":{"signingKeyRef":{"namespace":"` + s.bank + `","name":"main"},"audiences":["a"],"serviceAccountName":"a"`
	repeated := strings.Repeat
	variables := many(5000, `{"name":"a","valueFrom":{"secretKeyRef":{"name":"a","key":"token"}}}`)
	cases := map[string]struct {
		resource, body string
	}{
		"a lawful Secret":                 {"secrets", object("v1", "Secret", `},"type":"keyturn.dev/token","stringData":{"token":"`+r.sign(t, key.Spec.Issuer, patience)+`"}}`)},
		"a Secret of a MiB":               {"secrets", secret(repeated("YWFh", 1<<18))},
		"a Secret of almost a MiB":        {"secrets", secret(repeated("YWFh", 1<<18-64))},
		"a Secret of 3 MiB":               {"secrets", secret(repeated("YWFh", 3<<18-64))},
		"a Secret of 4 MiB":               {"secrets", secret(repeated("YWFh", 1<<20))},
		"half a Secret":                   {"secrets", secret("YWFh")[:40]},
		"a Secret that nests":             {"secrets", secret(`"},"x":` + repeated("[", 1<<20) + `,"y":"`)},
		"a Secret of numbers":             {"secrets", object("v1", "Secret", `},"type":"keyturn.dev/token","data":{"token":1e400}}`)},
		"a Secret of many keys":           {"secrets", object("v1", "Secret", `},"type":"keyturn.dev/token","data":{"token":""`+numberedMembers(20_000, `""`)+`}}`)},
		"a Pod of many variables":         {"pods", object("v1", "Pod", `},"spec":{"containers":[{"name":"a","image":"a","env":`+variables+`}]}}`)},
		"a Pod of many containers":        {"pods", object("v1", "Pod", `},"spec":{"containers":`+many(500, `{"name":"a","image":"a"}`)+`}}`)},
		"a ServiceToken of large claims":  {"servicetokens", object(ours, "ServiceToken", `},`+token+`,"claims":{"a":"`+repeated("a", 1<<20)+`"}}}`)},
		"claims that nest":                {"servicetokens", object(ours, "ServiceToken", `},`+token+`,"claims":{"a":`+repeated("[", 2000)+repeated("]", 2000)+`}}}`)},
		"claims that nest deep":           {"servicetokens", object(ours, "ServiceToken", `},`+token+`,"claims":{"a":`+repeated(`{"a":`, 9000)+`1`+repeated("}", 9000)+`}}}`)},
		"a ServiceToken with annotations": {"servicetokens", object(ours, "ServiceToken", `,"annotations":{"a":"`+repeated("a", 255<<10)+`"}},`+token+`}}`)},
		"a ServiceToken of audiences":     {"servicetokens", object(ours, "ServiceToken", `},"spec":{"audiences":`+many(100_000, `"a"`)+`}}`)},
		"a SigningKey of many selectors":  {"signingkeys", object(ours, "SigningKey", `},"spec":{"issuer":"https://a.example","tokens":{"allowedNamespaces":{"from":"Selector","selector":{"matchExpressions":`+many(2000, `{"key":"a","operator":"a"}`)+`}}}}}`)},
		"a TokenPolicy of many issuers":   {"tokenpolicies", object(ours, "TokenPolicy", `},"spec":{"issuers":`+many(50_000, `{"signingKeyRef":{"name":"a"}}`)+`}}`)},
		"a TokenClient of many claims":    {"tokenclients", object(ours, "TokenClient", `},"spec":{"claims":`+many(30_000, `{"name":"a","expression":"1"}`)+`}}`)},
	}
	config := suite.Config(t)
	config.QPS = -1
	c, err := rest.HTTPClientFor(config)
	s.must(err)
	known := []int{http.StatusCreated, http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}
	var all errgroup.Group
	all.SetLimit(4)
	for name, sent := range cases {
		path := "/api/v1"
		if sent.resource != "secrets" && sent.resource != "pods" {
			path = "/apis/" + ours
		}
		all.Go(func() error {
			// A machine that is busy otherwise can need longer than an API server waits.
			return wait.PollUntilContextTimeout(t.Context(), time.Second, patience, true, func(ctx context.Context) (bool, error) {
				code, said := post(ctx, c, strings.TrimSuffix(config.Host, "/")+path+"/namespaces/"+s.shop+"/"+sent.resource+"?dryRun=All", sent.body)
				if code == http.StatusGatewayTimeout || strings.Contains(said, "context deadline exceeded") {
					return false, nil
				}
				if !slices.Contains(known, code) || strings.Contains(said, "failed calling webhook") {
					t.Errorf("%s: %d %.500s", name, code, said)
				}
				return true, nil
			})
		})
	}
	s.must(all.Wait())
}

// numberedMembers are members of a JSON object behind another one.
func numberedMembers(n int, value string) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, `,"k%d":%s`, i, value)
	}
	return all.String()
}

// post returns the status code, and what a status says.
func post(ctx context.Context, c *http.Client, url, body string) (int, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // It was read.
	text, err := io.ReadAll(response.Body)
	var said metav1.Status
	if err != nil || response.StatusCode != http.StatusCreated && json.Unmarshal(text, &said) != nil {
		return 0, fmt.Sprintf("%s: %v", text, err)
	}
	return response.StatusCode, said.Message
}
