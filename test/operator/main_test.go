// Package operator tests the operator as its users meet it: the whole program, on a real kube-apiserver, with its
// webhooks, and with time moved by a stepped clock.
package operator

import (
	"testing"

	"github.com/keyturn/keyturn/test/controlplane"
)

var suite controlplane.Suite

func TestMain(m *testing.M) { suite.Run(m) }
