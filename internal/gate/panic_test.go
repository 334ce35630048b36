package gate

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// faulty is a View with a mistake in it.
type faulty struct{ *oldView }

func (faulty) Age(time.Time) time.Duration { panic("cannot read kts_sent") }

// TestAPanicLetsNobodyInAndEndsNothing: gRPC would not recover from it.
func TestAPanicLetsNobodyInAndEndsNothing(t *testing.T) {
	r, _ := begun(t)
	r.gate = New(r.directory, faulty{}, r.clock)
	told, err := NewAuthorizer(r.gate).Check(r.logs(), check("shop/api", from(http.MethodGet, "orders.example.com", "/"), nil))
	if err != nil || statusOf(told) != http.StatusServiceUnavailable {
		t.Errorf("answered %d, %v", statusOf(told), err)
	}
	log := strings.Join(r.lines, "\n")
	if strings.Contains(log+told.String(), "kts_sent") || !strings.Contains(log, "panic_test.go") || !strings.Contains(log, `"reason"="Failed"`) {
		t.Errorf("logged:\n%s", log)
	}
}
