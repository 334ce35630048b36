package operator

import (
	"net/http"
	"net/url"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// A client must be told before its patience, or the server's, is at an end.
func TestAnAPIServerThatDoesNotAnswerKeepsNobodyWaiting(t *testing.T) {
	w, v := beginServing(t, keeping(inFile(t)))
	ns := suite.Namespace(t, nil)
	w.ready(ns, []*v1alpha1.SigningKey{newKey(ns, "shop")}, nil)
	v.protects(ns)
	c := v.calls(newClient(ns, "cart", "shop", refreshing))
	pod, accountToken := w.account(v, ns)
	kept, account := c.asked(), accountToken()

	w.op.requests.hush(true)
	w.op.clock.Step(staleness / 2)
	var all sync.WaitGroup
	for by, sent := range map[caller]url.Values{
		c: form("grant_type", "refresh_token", "refresh_token", kept.Refresh), pod: exchanging(account),
	} {
		all.Go(func() {
			got, err := by.send(t.Context(), "token", sent)
			if err == nil {
				err = got.isForLater()
			}
			if err != nil {
				t.Errorf("%s: %v", sent.Get("grant_type"), err)
			}
		})
	}
	w.must(c.isLetIn(kept.Access, http.StatusOK))
	all.Wait()
	w.op.requests.hush(false)
	w.must(c.refresh(kept.Refresh).granted(), pod.exchange(account).granted())
}
