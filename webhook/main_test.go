package webhook_test

import (
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/keyturn/keyturn/test/controlplane"
)

var (
	suite controlplane.Suite
	// hooks says where the API server looks for the webhooks.
	hooks *envtest.WebhookInstallOptions
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	suite.Run(m, func(environment *envtest.Environment) {
		manifests, err := controlplane.Path("config", "webhook", "manifests.yaml")
		if err != nil {
			panic(err)
		}
		hooks = &environment.WebhookInstallOptions
		hooks.Paths = []string{manifests}
	})
}
