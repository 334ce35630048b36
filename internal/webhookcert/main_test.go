package webhookcert

import (
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keyturn/keyturn/test/controlplane"
)

var suite controlplane.Suite

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	suite.Run(m)
}
