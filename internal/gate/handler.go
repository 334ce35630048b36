package gate

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Handler answers reverse proxies that ask whether a request is let in.
type Handler struct {
	gate   *Gate
	prefix string
	next   http.Handler
}

// NewHandler makes a Handler of the requests for /verify/<namespace>/<policy>, with or without the path of the external URL before
// it. The next one gets all others.
func NewHandler(gate *Gate, externalURL string, next http.Handler) *Handler {
	h := &Handler{gate: gate, next: next}
	if external, err := url.Parse(externalURL); err == nil {
		h.prefix = external.Path
	}
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := parsePath(r.URL.Path, h.prefix)
	if !ok {
		h.next.ServeHTTP(w, r)
		return
	}
	h.gate.Decide(r.Context(), name, incoming(r.Header)).write(w)
}

// parsePath says which policy a path names. No policy has a dot in its name, so that documents of SigningKeys in a namespace called
// "verify" stay what they are; such a namespace has no token endpoint.
func parsePath(path, prefix string) (types.NamespacedName, bool) {
	for _, path := range []string{path, strings.TrimPrefix(path, prefix)} {
		rest, ours := strings.CutPrefix(path, "/verify/")
		namespace, name, parts := strings.Cut(rest, "/")
		if ours && parts && namespace != "" && name != "" && !strings.ContainsAny(name, "./") {
			return types.NamespacedName{Namespace: namespace, Name: name}, true
		}
	}
	return types.NamespacedName{}, false
}

// incoming takes from the headers what the proxy says. The request line is the proxy's own.
func incoming(header http.Header) Incoming {
	return Incoming{
		Authorization: header.Values("Authorization"),
		Method:        header.Values("X-Forwarded-Method"),
		Host:          header.Values("X-Forwarded-Host"),
		URI:           header.Values("X-Forwarded-Uri"),
		Override:      overrides(header.Values),
	}
}

func overrides(values func(name string) []string) []string {
	var found []string
	for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		found = append(found, values(name)...)
	}
	return found
}

func (a Answer) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if a.Status == http.StatusOK {
		for _, one := range a.Headers {
			header.Set(one.Name, one.Value)
		}
		w.WriteHeader(http.StatusOK)
		return
	}
	for name, value := range a.denial() {
		header.Set(name, value)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Description+"\n") // Nobody listens any more if it fails.
}

// denial are the headers of an answer other than 200.
func (a Answer) denial() map[string]string {
	headers := map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
	}
	if a.Challenge != "" {
		headers["WWW-Authenticate"] = a.Challenge
	}
	if a.RetryAfter > 0 {
		headers["Retry-After"] = strconv.Itoa(int(a.RetryAfter / time.Second))
	}
	return headers
}
