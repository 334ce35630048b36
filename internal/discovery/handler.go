package discovery

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/keyturn/keyturn/internal/denylist"
	"github.com/keyturn/keyturn/internal/domain/discovery"
)

const methods = "GET, HEAD, OPTIONS"

// The reasons for which there is no answer. None tells whether a namespace or a SigningKey exists that publishes nothing.
const (
	unknown = "There is no such document. The JWKS of a SigningKey is /<namespace>/<name>/jwks.json, once a key signs, its deny list " +
		"revocations.json below the same path, and its configuration /<namespace>/<name>/.well-known/openid-configuration.\n"
	noIssuer        = "This SigningKey has no issuer at this moment, so there is no deny list of it.\n"
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

// DenyLists has the deny list of each SigningKey.
type DenyLists interface {
	Document(ctx context.Context, key types.NamespacedName) (denylist.Document, error)
}

// denyListAge is for how long verifiers may keep a deny list.
const denyListAge = 5 * time.Second

// Handler answers with what a Directory holds, and with deny lists.
type Handler struct {
	directory *Directory
	denyLists DenyLists
	view      View
	clock     clock.PassiveClock
	prefix    string
	chance    func() float64
}

// NewHandler makes a Handler. The path of the external URL, if it has one, is allowed before every path. Chance is a number
// from 0 to 1, another one each time, that spreads the lifetimes of answers.
func NewHandler(
	directory *Directory, denyLists DenyLists, view View, clk clock.PassiveClock, externalURL string, chance func() float64,
) *Handler {
	h := &Handler{directory: directory, denyLists: denyLists, view: view, clock: clk, chance: chance}
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
	if what == revocations {
		h.answerDenyList(w, r, name)
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
		send(w, r, document, mediaType, h.cacheControl(found.standing))
	}
}

// answerDenyList answers also while no key can be published.
func (h *Handler) answerDenyList(w http.ResponseWriter, r *http.Request, of types.NamespacedName) {
	list, err := h.denyLists.Document(r.Context(), of)
	switch {
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, starting)
	case list.Content == nil:
		refuse(w, http.StatusNotFound, noIssuer)
	case h.view.IsStale(h.clock.Now()):
		send(w, r, document{list.Content, list.Tag}, "application/json", "no-cache")
	default:
		send(w, r, document{list.Content, list.Tag}, "application/json", fmt.Sprintf("public, max-age=%d", int(denyListAge.Seconds())))
	}
}

func send(w http.ResponseWriter, r *http.Request, d document, mediaType, cacheControl string) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("ETag", d.tag)
	w.Header().Set("Cache-Control", cacheControl)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.content))
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
