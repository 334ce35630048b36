package clientauth_test

import (
	"testing"

	"github.com/keyturn/keyturn/test/controlplane"
)

var suite controlplane.Suite

func TestMain(m *testing.M) { suite.Run(m) }
