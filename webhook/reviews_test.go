package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/keyturn/keyturn/webhook"
)

// asking is a review of the creation of an object.
func asking(object string) []byte {
	return []byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","namespace":"shop","object":` + object + `}}`)
}

// many is a list of so many values.
func many(n int, value string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + "]"
}

// attacks are reviews that cost the most, or that are none, and what they are answered with: nothing if they are allowed.
func attacks() map[string]struct {
	path string
	body []byte
	want string
} {
	const tooLarge = "a review has at most 7340032 bytes and 65536 values"
	mebibytes := func(n float64, text string) string { return strings.Repeat(text, int(n*(1<<20))/len(text)) }
	templates := strings.TrimSuffix(strings.Repeat(`"a":"{{range .Audiences}}{{.}}{{end}}",`, 8_000), ",")
	return map[string]struct {
		path string
		body []byte
		want string
	}{
		"a Secret of 3 MiB with a token of 3 MiB":    {webhook.PathSecret, asking(`{"type":"keyturn.dev/token","data":{"token":"` + mebibytes(3, "YWFh") + `"}}`), "it is longer than 16384 bytes"},
		"a Secret of 3 MiB without a token":          {webhook.PathSecret, asking(`{"data":{"a":"` + mebibytes(3, "YWFh") + `"}}`), ""},
		"a Pod of a million containers":              {webhook.PathPod, asking(`{"spec":{"containers":` + many(1_000_000, "{}") + `}}`), tooLarge},
		"a Pod of so many containers as are decoded": {webhook.PathPod, asking(`{"spec":{"containers":` + many(32_000, "{}") + `}}`), ""},
		"a Secret of a million owners":               {webhook.PathSecret, asking(`{"metadata":{"ownerReferences":` + many(1_000_000, "{}") + `}}`), tooLarge},
		"a SigningKey of many rules":                 {webhook.PathSigningKey, asking(`{"spec":{"issuer":"a","tokens":{"rules":` + many(30_000, "{}") + `}}}`), "30000 rules, at most 16"},
		"a SigningKey of many wrong selectors": {
			webhook.PathSigningKey, asking(`{"spec":{"issuer":"a","tokens":{"allowedNamespaces":{"selector":{"matchExpressions":` + many(30_000, "{}") + `}}}}}`), "faults more",
		},
		"a ServiceToken of many audiences": {webhook.PathServiceToken, asking(`{"spec":{"audiences":` + many(60_000, `"a"`) + `}}`), "spec.audiences: Too many: 60000: must have at most 16 items"},
		"a ServiceToken of many templates": {
			webhook.PathServiceToken, asking(`{"spec":{"secretTemplate":{"data":{` + numbered(templates) + `}}}}`), "spec.secretTemplate.data: Too many: 8000: must have at most 16 items",
		},
		"a ServiceToken of a template of 6 MiB": {webhook.PathServiceToken, asking(`{"spec":{"secretTemplate":{"data":{"a":"` + mebibytes(6, "{{.Token}}") + `"}}}}`), "the template is longer than 8192 characters"},
		"a ServiceToken of claims of 3 MiB":     {webhook.PathServiceToken, asking(`{"spec":{"claims":{"a":"` + mebibytes(3, "a") + `"}}}`), "at most 4096 are allowed"},
		"a TokenClient of many claims":          {webhook.PathTokenClient, asking(`{"spec":{"claims":` + many(10_000, `{"name":"a","expression":"1"}`) + `}}`), "spec.claims: Too many"},
		"a TokenClient of many keys":            {webhook.PathTokenClient, asking(`{"spec":{"authentication":{"privateKeyJWT":{"jwks":` + quoted(`{"keys":`+many(60_000, "{}")+`}`) + `}}}}`), "a JWK Set has at most 65536 bytes"},
		"a TokenPolicy of many issuers":         {webhook.PathTokenPolicy, asking(`{"spec":{"issuers":` + many(10_000, `{"signingKeyRef":{"name":"a"}}`) + `}}`), "spec.issuers: Too many"},
		"a TokenPolicy of many headers":         {webhook.PathTokenPolicy, asking(`{"spec":{"headers":` + many(30_000, `{}`) + `}}`), "spec.headers: Too many"},
		"an expression of 3 MiB":                {webhook.PathTokenPolicy, asking(`{"spec":{"rules":[{"expression":"` + mebibytes(3, "(") + `"}]}}`), "at most 1024 are allowed"},
		"an object that nests":                  {webhook.PathServiceToken, asking(`{"spec":{"claims":` + strings.Repeat("[", 3<<20)), "a review is JSON"},
		"an object that nests and ends":         {webhook.PathServiceToken, asking(`{"spec":{"claims":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + `}}`), "a review is JSON"},
		"an object that nests as deep as may be": {
			webhook.PathServiceToken, asking(`{"spec":{"claims":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}}`), "at most 4096 are allowed",
		},
		"8 MiB":             {webhook.PathSecret, bytes.Repeat([]byte(" "), 8<<20), tooLarge},
		"7 MiB of nothing":  {webhook.PathSecret, make([]byte, 7<<20), "a review is JSON"},
		"YAML of aliases":   {webhook.PathPod, []byte("a: &a [b,b,b,b]\nc: &c [*a,*a,*a,*a]\nd: [*c,*c,*c,*c]\n"), "a review is JSON"},
		"Protocol Buffers":  {webhook.PathPod, []byte("k8s\x00\n\x0c"), "a review is JSON"},
		"half a review":     {webhook.PathSecret, asking(`{}`)[:80], "a review is JSON"},
		"a review in gzip":  {webhook.PathSecret, []byte("\x1f\x8b\x08\x00\x00\x00"), "a review is JSON"},
		"nothing":           {webhook.PathSecret, nil, "a review is JSON"},
		"a text of a quote": {webhook.PathSecret, []byte(`"` + strings.Repeat(`\"{[,`, 1<<20) + `"`), "couldn't get version/kind"},
	}
}

// numbered gives each member of a JSON object another name.
func numbered(members string) string {
	var all strings.Builder
	for i, member := range strings.Split(members, ",") {
		all.WriteString(strings.Replace(member, `"a"`, `,"a`+strings.Repeat("b", i%90)+strings.Repeat("c", i/90)+`"`, 1))
	}
	return strings.TrimPrefix(all.String(), ",")
}

func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

func TestReviewsThatCostTheMostAreAnsweredWithinBounds(t *testing.T) {
	a, _, _ := inhabited(t)
	for name, attack := range attacks() {
		t.Run(name, func(t *testing.T) {
			a.t = t
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			answer := a.post(attack.path, attack.body)
			runtime.ReadMemStats(&after)
			message := ""
			if !answer.Allowed {
				message = answer.Result.Message
			}
			if answer.Allowed != (attack.want == "") || !strings.Contains(message, attack.want) || len(message) > 64<<10 {
				t.Errorf("allowed=%v: %.500s\nwant: %s", answer.Allowed, message, attack.want)
			}
			if all := (after.TotalAlloc - before.TotalAlloc) >> 20; all > 256 {
				t.Errorf("%d MiB were allocated", all)
			}
		})
	}
}

// TestAFloodOfReviewsTakesNoMoreMemoryThanTheOperatorHas sends them all at once, by HTTP/2 as API servers do. A request that is lawful is
// judged also then, or told to come again.
func TestAFloodOfReviewsTakesNoMoreMemoryThanTheOperatorHas(t *testing.T) {
	const limit = 512 << 20 // that of the Pod
	a, _, _ := inhabited(t)
	before := runtime.NumGoroutine()
	site := httptest.NewUnstartedServer(a.server.WebhookMux())
	site.EnableHTTP2 = true
	site.StartTLS()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	all := attacks()
	queue := make(chan string, len(all))
	for name := range all {
		queue <- name
	}
	close(queue)
	highest := watchHeap(t, site, func() {
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for name := range queue {
					code, answer := send(t, site, all[name].path, all[name].body)
					if judged := code == http.StatusOK && answer != nil; !judged && code != http.StatusServiceUnavailable {
						t.Errorf("%s: %d, %+v", name, code, answer)
					}
				}
			})
		}
		clients.Wait()
	})
	if highest > limit+limit/4 {
		t.Errorf("%d MiB of heap", highest>>20)
	}
	if _, answer := send(t, site, webhook.PathPod, a.review(request{new: mounting("till")})); answer == nil || !answer.Allowed {
		t.Errorf("afterwards: %+v", answer)
	}
	site.Client().CloseIdleConnections()
	site.Close()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return runtime.NumGoroutine() <= before, nil
	})
	if err != nil {
		t.Errorf("%d goroutines, there were %d", runtime.NumGoroutine(), before)
	}
}

// watchHeap returns how large the heap was at most, at the end of each answer.
func watchHeap(t *testing.T, site *httptest.Server, do func()) uint64 {
	t.Helper()
	var mu sync.Mutex
	var highest uint64
	next := site.Config.Handler
	site.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		mu.Lock()
		defer mu.Unlock()
		highest = max(highest, now.HeapInuse)
	})
	do()
	return highest
}

func send(t *testing.T, site *httptest.Server, path string, body []byte) (int, *admissionv1.AdmissionResponse) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := site.Client().Do(r)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	defer response.Body.Close() //nolint:errcheck // It was read to its end.
	var review admissionv1.AdmissionReview
	_ = json.NewDecoder(response.Body).Decode(&review) // Some answers are none.
	return response.StatusCode, review.Response
}

// slow is a connection on which half a review has come.
type slow struct {
	*httptest.ResponseRecorder
	body  *io.PipeReader
	ended chan struct{}
}

// SetReadDeadline is for http.ResponseController.
func (s *slow) SetReadDeadline(time.Time) error {
	return s.body.CloseWithError(context.DeadlineExceeded)
}

// serveSlowly begins a review of 7 MiB that does not go on after so many bytes.
func serveSlowly(t *testing.T, handler http.Handler, sent int) *slow {
	t.Helper()
	reader, writer := io.Pipe()
	s := &slow{ResponseRecorder: httptest.NewRecorder(), body: reader, ended: make(chan struct{})}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.PathPod, reader)
	r.ContentLength = 7 << 20
	go func() { _, _ = writer.Write(make([]byte, sent)) }()
	go func() {
		defer close(s.ended)
		defer reader.Close() //nolint:errcheck // It never fails.
		handler.ServeHTTP(s, r)
	}()
	return s
}

func TestAReviewThatDoesNotArriveIsGivenUp(t *testing.T) {
	a, _, _ := inhabited(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		sent := serveSlowly(t, a.server.WebhookMux(), 100)
		<-sent.ended
		if after := time.Since(began); after != 5*time.Second || !strings.Contains(sent.Body.String(), "the review did not arrive in time") {
			t.Errorf("after %v: %s", after, sent.Body)
		}
	})
}

func TestReviewsThatDoNotArriveKeepOthersOutOnlyByWhatWasSent(t *testing.T) {
	a, _, _ := inhabited(t)
	lawful := a.review(request{new: mounting("till")})
	for sentence, test := range map[string]struct{ each, want int }{
		"little": {1 << 10, http.StatusOK}, "all there is room for": {7 << 20, http.StatusServiceUnavailable},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all []*slow
				for _, sent := range []int{test.each, test.each, test.each, test.each, test.each, test.each, test.each, test.each, test.each, min(1<<20, test.each)} {
					all = append(all, serveSlowly(t, a.server.WebhookMux(), sent))
					synctest.Wait()
				}
				if got := statusOf(t, a, lawful); got != test.want {
					t.Errorf("meanwhile: %d, want %d", got, test.want)
				}
				for _, sent := range all {
					<-sent.ended
				}
				if got := statusOf(t, a, lawful); got != http.StatusOK {
					t.Errorf("afterwards: %d", got)
				}
			})
		})
	}
}

func statusOf(t *testing.T, a *admitter, review []byte) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, webhook.PathPod, bytes.NewReader(review))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.server.WebhookMux().ServeHTTP(w, r)
	return w.Code
}
