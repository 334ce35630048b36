// Package api_test tests the API types alone: what the CRDs and their CEL rules refuse, accept and fill in, on a real
// kube-apiserver without a webhook and without controllers.
package api_test

import (
	"testing"

	"github.com/keyturn/keyturn/test/controlplane"
)

var suite controlplane.Suite

func TestMain(m *testing.M) { suite.Run(m) }
