// Package gate puts real reverse proxies before a service, and the whole operator beside them on a real kube-apiserver, with the clock
// of the machine: whom they let in is what users see of the gate.
package gate

import (
	"testing"

	"github.com/keyturn/keyturn/test/controlplane"
)

var suite controlplane.Suite

func TestMain(m *testing.M) { suite.Run(m) }
