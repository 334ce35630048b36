package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/controlplane"
	"github.com/keyturn/keyturn/test/e2e/leak"
)

// search knows every secret that was in any Secret, or was sent or received by a client, and looks for it in all that somebody may read
// who may not read Secrets: each state of every object, events and managed fields included, logs, metrics and answers that are errors.
type search struct {
	client  client.WithWatch
	secrets leak.Watcher
	// log is what is logged, and sees says whether a namespace is looked into.
	log  *logBuffer
	sees func(namespace string) bool

	mu sync.Mutex
	// told are texts by where they stand: those since the last look, and those before, as some secret may have been heard of late.
	told, before map[string]*strings.Builder
	logged       int
	markers      map[string]bool
	searched     int
}

// readable are the kinds that are looked at, besides Secrets.
func readable() []client.ObjectList {
	return []client.ObjectList{
		&corev1.ConfigMapList{}, &eventsv1.EventList{}, &v1alpha1.SigningKeyList{}, &v1alpha1.ServiceTokenList{}, &v1alpha1.TokenClientList{},
		&v1alpha1.TokenPolicyList{}, &v1alpha1.TokenRevocationList{}, &admissionregistrationv1.ValidatingWebhookConfigurationList{},
		&coordinationv1.LeaseList{}, &corev1.NamespaceList{},
	}
}

func newSearch(log *logBuffer, sees func(namespace string) bool) *search {
	return &search{log: log, sees: sees, told: map[string]*strings.Builder{}, markers: map[string]bool{}}
}

// begin starts to look; what is there at first is seen too. It ends with the test, since an API server that is told to end waits for those
// who watch.
func (s *search) begin(t *testing.T) {
	t.Helper()
	var err error
	if s.client, err = client.NewWithWatch(suite.Config(t), client.Options{Scheme: controlplane.Scheme()}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var followers sync.WaitGroup
	for _, list := range append(readable(), &corev1.SecretList{}) {
		followers.Go(func() { s.follow(ctx, list) })
	}
	t.Cleanup(func() {
		stop()
		followers.Wait()
	})
}

// follow sees each state of the objects of a kind.
func (s *search) follow(ctx context.Context, list client.ObjectList) {
	_ = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		states, err := s.client.Watch(ctx, list)
		if err != nil {
			return false, nil // It is asked again, until the test ends.
		}
		defer states.Stop()
		for state := range states.ResultChan() {
			if object, ok := state.Object.(client.Object); ok && state.Type != watch.Error {
				s.see(object)
			}
		}
		return false, nil
	})
}

func (s *search) see(object client.Object) {
	if strings.HasPrefix(object.GetName(), markerPrefix) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.markers[object.GetName()] = true
		return
	}
	if namespace := object.GetNamespace(); namespace != "" && !s.sees(namespace) {
		return
	}
	where, told := fmt.Sprintf("a %T", object), any(object)
	if secret, ok := object.(*corev1.Secret); ok {
		s.secrets.Secret(secret)
		where, told = "the metadata of a Secret", secret.ObjectMeta
	}
	text, err := json.Marshal(told)
	if err != nil {
		text = fmt.Append(nil, told)
	}
	s.tell(where, string(text))
}

// tell adds a text that somebody may read.
func (s *search) tell(where, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[where] == nil {
		s.told[where] = &strings.Builder{}
	}
	_, _ = s.told[where].WriteString(text + "\n")
}

// look says what is found, by where, in all that was told since the look before the last one.
func (s *search) look(t *testing.T) []string {
	t.Helper()
	s.catchUp(t)
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	s.tell("the metrics", fmt.Sprint(families))
	all := s.log.String()
	s.tell("the log", all[s.logged:])
	s.logged = len(all)
	s.mu.Lock()
	texts := []map[string]*strings.Builder{s.before, s.told}
	s.before, s.told = s.told, map[string]*strings.Builder{}
	s.mu.Unlock()
	found := map[string]bool{}
	for _, told := range texts {
		for where, text := range told {
			for _, what := range s.secrets.Find(text.String()) {
				found[where+" has "+what] = true
			}
			s.searched += text.Len()
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// markerPrefix begins the names of Secrets by which it is known that all before them were seen.
const markerPrefix = "seen-"

// catchUp waits until every Secret that is there was seen.
func (s *search) catchUp(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	marker := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, GenerateName: markerPrefix}}
	if err := s.client.Create(ctx, marker); err != nil {
		t.Fatal(err)
	}
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.markers[marker.Name], nil
	})
	if err != nil {
		t.Errorf("Secrets are not seen: %v", err)
	}
	if err := s.client.Delete(ctx, marker); err != nil {
		t.Error(err)
	}
}

// everything is the search of all tests of this package.
var everything = newSearch(logged, func(namespace string) bool { return !strings.HasPrefix(namespace, plantedPrefix) })

// searching is the test that it is begun for.
var searching *testing.T

// searched looks, when a test ends, for secrets in all that it has told.
func searched(t *testing.T) {
	t.Helper()
	if searching == t {
		return
	}
	searching = t
	everything.begin(t)
	t.Cleanup(func() {
		for _, found := range everything.look(t) {
			t.Error(found)
		}
		t.Logf("%d secrets looked for in %d KiB", everything.secrets.Known(), everything.searched>>10)
	})
}

// overhearing notes what clients send and receive: the secrets in it, and the answers that are errors.
type overhearing struct{ next http.RoundTripper }

func (o overhearing) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.GetBody != nil {
		if body, err := request.GetBody(); err == nil {
			sent, _ := io.ReadAll(body)
			o.sent(request, string(sent))
		}
	}
	response, err := o.next.RoundTrip(request)
	if err != nil || request.URL.Query().Get("watch") == "true" {
		return response, err
	}
	body, readErr := io.ReadAll(response.Body)
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), ending(readErr)), response.Body}
	if response.StatusCode >= http.StatusBadRequest {
		everything.tell("an answer that is an error", fmt.Sprint(response.Header)+string(body))
		return response, nil
	}
	everything.tell("the headers of an answer", fmt.Sprint(response.Header))
	var granted reply
	if json.Unmarshal(body, &granted) == nil {
		everything.secrets.Token(granted.Access)
		everything.secrets.RefreshToken(granted.Refresh)
	}
	return response, nil
}

// CloseIdleConnections does so.
func (o overhearing) CloseIdleConnections() { (&http.Client{Transport: o.next}).CloseIdleConnections() }

func (overhearing) sent(request *http.Request, body string) {
	if bearer, ok := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer "); ok {
		everything.secrets.Token(bearer)
	}
	if _, password, ok := request.BasicAuth(); ok {
		everything.secrets.ClientSecret(password)
	}
	if request.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return
	}
	form, _ := url.ParseQuery(body)
	everything.secrets.ClientSecret(form.Get("client_secret"))
	everything.secrets.RefreshToken(form.Get("refresh_token"))
	everything.secrets.RefreshToken(form.Get("token"))
	for _, name := range []string{"client_assertion", "subject_token", "token"} {
		everything.secrets.Assertion(form.Get(name))
	}
}

// ending has nothing more than an error, if there is one.
func ending(err error) io.Reader {
	if err == nil {
		err = io.EOF
	}
	return iotest.ErrReader(err)
}
