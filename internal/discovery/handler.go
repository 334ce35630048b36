package discovery

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/domain/discovery"
)

const methods = "GET, HEAD, OPTIONS"

// The reasons for which there is no answer. None tells whether a namespace or a SigningKey exists that publishes nothing.
const (
	unknown = "There is no such document. The JWKS of a SigningKey is /<namespace>/<name>/jwks.json, once a key signs, and its " +
		"configuration /<namespace>/<name>/.well-known/openid-configuration.\n"
	noConfiguration = "The issuer of this SigningKey is no https URL, so it has no configuration document. Its JWKS is below the " +
		"same path, jwks.json.\n"
	noKeys   = "No key can be published at this moment: its keys were revoked or lost, and a fresh one is on its way. Try again.\n"
	starting = "The SigningKeys are being read. Try again.\n"
	wrongWay = "Use " + methods + ".\n"
)

// View knows how old what a Directory holds can be.
type View interface {
	Age(now time.Time) time.Duration
	// IsStale says whether that is too old.
	IsStale(now time.Time) bool
}

// Handler answers with what a Directory holds.
type Handler struct {
	directory *Directory
	view      View
	clock     clock.PassiveClock
	prefix    string
	chance    func() float64
}

// NewHandler makes a Handler. The path of the external URL, if it has one, is allowed before every path. Chance is a number
// from 0 to 1, another one each time, that spreads the lifetimes of answers.
func NewHandler(directory *Directory, view View, clk clock.PassiveClock, externalURL string, chance func() float64) *Handler {
	h := &Handler{directory: directory, view: view, clock: clk, chance: chance}
	if external, err := url.Parse(externalURL); err == nil {
		h.prefix = external.Path
	}
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	// What is published is public: a page of any origin may verify tokens.
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "ETag")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.answer(w, r)
	case http.MethodOptions:
		header.Set("Allow", methods)
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", "*")
		header.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	default:
		header.Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, wrongWay)
	}
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	name, what, ok := parsePath(r.URL.Path, h.prefix)
	if !ok {
		refuse(w, http.StatusNotFound, unknown)
		return
	}
	if !h.directory.isFilled() {
		refuse(w, http.StatusServiceUnavailable, starting)
		return
	}
	found := h.directory.lookup(name)
	if found == nil {
		refuse(w, http.StatusNotFound, unknown)
		return
	}
	document, mediaType := found.jwks, "application/jwk-set+json"
	if what == configuration {
		document, mediaType = found.configuration, "application/json"
	}
	switch {
	case found.jwks.content == nil:
		refuse(w, http.StatusServiceUnavailable, noKeys)
	case document.content == nil:
		refuse(w, http.StatusNotFound, noConfiguration)
	default:
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("ETag", document.tag)
		w.Header().Set("Cache-Control", h.cacheControl(found.standing))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document.content))
	}
}

// cacheControl is RFC 9111 section 5.2.2. An old set is worth more than none, but whoever gets it shall look again soon.
func (h *Handler) cacheControl(standing discovery.Standing) string {
	now := h.clock.Now()
	standing.Age = max(0, h.view.Age(now))
	standing.Unsettled = standing.Unsettled || h.view.IsStale(now)
	verifier, shared := standing.Lifetimes(now, h.chance())
	if verifier == 0 {
		return "no-cache"
	}
	return fmt.Sprintf("public, max-age=%d, s-maxage=%d", int(verifier.Seconds()), int(shared.Seconds()))
}

// refuse says why there is no answer. Nobody keeps that: what is missing may be there a moment later.
func refuse(w http.ResponseWriter, status int, why string) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, why) // Nobody listens any more if it fails.
}
