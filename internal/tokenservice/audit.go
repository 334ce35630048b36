package tokenservice

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/internal/domain/grant"
)

// report tells of a decision: one line in the log, without any token, and the metrics.
func (h *Handler) report(c *call, a *answer) {
	kind := grantTypeOf(grant.Type(c.grantType))
	if c.endpoint != Token {
		kind = ""
	}
	requests.WithLabelValues(string(c.endpoint), string(kind), strconv.Itoa(a.status)).Inc()
	duration.WithLabelValues(string(c.endpoint)).Observe(h.Clock.Since(c.began).Seconds())
	const most = 11
	facts := append(make([]any, 0, 2*most),
		"endpoint", string(c.endpoint), "signingKey", c.key.String(), "status", a.status, "address", c.address)
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, name, value)
		}
	}
	add("grant", string(kind))
	add("client", c.clientID)
	add("subject", c.subject)
	add("tokenID", c.tokenID)
	add("keyID", c.keyID)
	add("error", c.failure)
	if c.reason != nil {
		facts = append(facts, "reason", short(c.reason.Error()))
	}
	decision := "granted"
	if a.status >= http.StatusBadRequest {
		decision = "refused"
	}
	h.Log.Info(decision, facts...)
}

// longestReason bounds a line, of which some quote a token that nobody has signed.
const longestReason = 512

func short(text string) string {
	if len(text) <= longestReason {
		return text
	}
	return strings.ToValidUTF8(text[:longestReason], "") + "..."
}
