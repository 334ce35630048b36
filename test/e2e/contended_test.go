package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/e2e/privilege"
)

// Somebody else writes to an object whenever the operator writes its status. The operator then reads the object itself, and writes
// over what is not of its concern.
func statusesAreWrittenWhileOthersWrite(t *testing.T, c *cluster) {
	namespace := c.newNamespace(t, "e2e-contended", nil)
	a := c.newAsking(t, namespace)
	turn := 0
	eventually(t, "the operator meets the writes of others", func() error {
		turn++
		c.contend(t, a.client, func() { a.client.Spec.AccessTokenDuration = seconds(time.Minute + time.Duration(turn)*time.Second) })
		c.contend(t, a.policy, func() { a.policy.Spec.ClockSkew = seconds(time.Duration(turn) * time.Second) })
		revocation := &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "number-" + strconv.Itoa(turn)},
			Spec:       v1alpha1.TokenRevocationSpec{SigningKeyName: a.key.Name, TokenID: strconv.Itoa(turn)},
		}
		c.create(t, revocation)
		c.contend(t, revocation, func() {})
		c.awaitReady(t, a.client, a.policy, revocation)
		return errors.Join(c.hasRead(t, "tokenclients"), c.hasRead(t, "tokenpolicies"), c.hasRead(t, "tokenrevocations"))
	})
	c.report.saw(t, "contended objects", "%d times somebody else wrote to a TokenClient, a TokenPolicy and a TokenRevocation meanwhile, and their status was written all the same", turn)
}

// contend changes an object, and goes on with changes that mean nothing while the operator acts on that.
func (c *cluster) contend(t *testing.T, object client.Object, change func()) {
	t.Helper()
	const writes = 20
	c.update(t, object, change)
	for i := range writes {
		c.update(t, object, func() { object.SetLabels(map[string]string{"example.com/write": strconv.Itoa(i)}) })
	}
}

// hasRead says whether the operator has asked the API server itself for an object of a kind.
func (c *cluster) hasRead(t *testing.T, resource string) error {
	t.Helper()
	read := slices.ContainsFunc(c.requests(t), func(r privilege.Request) bool { return r.Verb == "get" && r.Resource == resource })
	if !read {
		return fmt.Errorf("it has read none of the %s", resource)
	}
	return nil
}

// requests are what the operator has asked the API server for until now.
func (c *cluster) requests(t *testing.T) []privilege.Request {
	t.Helper()
	log, err := os.Open(filepath.Join(c.folder, "log", "audit.log"))
	must(t, err)
	defer func() { _ = log.Close() }()
	requests, err := privilege.Requests(log, operatorUser)
	must(t, err)
	return requests
}
