// Package e2e_test shows Keyturn at home in a real cluster: installed, mounted into pods, verified by others, and disturbed.
//
// The tests run in a cluster of hack/cluster, whose folder the environment variable KEYTURN_E2E names: `make e2e` brings one
// up, runs them and takes it down. This file is the order of events; what each of them shows stands where its name says.
package e2e_test

import (
	"os"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func TestKeyturnInACluster(t *testing.T) {
	log.SetLogger(logr.Discard()) // The clients' own.
	c := connect(t)
	defer c.report.write(os.Stdout)
	c.loadProbe(t)
	c.learnSecrets(t)
	kept, stop := c.keepLogs(t)

	t.Run("Helm", func(t *testing.T) { inACluster(t, c) })
	t.Run("kubectl", func(t *testing.T) { installedByKubectl(t, c) })
	t.Run("namespaces that are named", func(t *testing.T) { inNamedNamespaces(t, c) })
	t.Run("rights are the least that work", func(t *testing.T) { rightsAreTheLeastThatWork(t, c) })
	stop()
	t.Run("nothing leaks", func(t *testing.T) { nothingLeaks(t, c, kept) })
}

// inACluster shows most, in one install by Helm.
func inACluster(t *testing.T, c *cluster) {
	c.isEmpty(t)
	defer c.removeAll(t, byHelm)
	c.installByHelm(t)
	samplesBecomeReady(t, c)
	p := c.newParties(t, c.newNamespace(t, "e2e-rotation", nil))

	t.Run("in quiet times", func(t *testing.T) {
		for name, show := range map[string]func(*testing.T, *cluster){
			"mounted tokens verify through rotations":        func(t *testing.T, _ *cluster) { mountedTokensVerifyThroughRotations(t, p) },
			"unlawful objects are refused":                   unlawfulObjectsAreRefused,
			"revoked keys verify nowhere":                    revokedKeysVerifyNowhere,
			"a Pod asks with nothing but its ServiceAccount": podsAskWithNothingButTheirServiceAccount,
			"statuses are written while others write":        statusesAreWrittenWhileOthersWrite,
			"copies of a JWKS follow their selector":         copiesFollowTheirSelector,
			"Pod Security is restricted":                     podSecurityIsRestricted,
			"metrics are in order":                           metricsAreInOrder,
			"recipes work as printed":                        recipesWorkAsPrinted,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				show(t, c)
			})
		}
	})

	p.dismissShort(t)
	t.Run("the leader is killed in the middle of a rotation", func(t *testing.T) { theLeaderIsKilledInTheMiddleOfARotation(t, p) })
	t.Run("a replica is frozen past its Lease", func(t *testing.T) { aReplicaIsFrozenPastItsLease(t, p) })
	t.Run("a rolling update loses no request", func(t *testing.T) { aRollingUpdateLosesNoRequest(t, p) })
	t.Run("a replica is cut off from the API server", func(t *testing.T) { aReplicaIsCutOffFromTheAPIServer(t, p) })
	t.Run("the API server does not answer", func(t *testing.T) { theAPIServerDoesNotAnswer(t, p) })
	p.stop()

	t.Run("applied again", func(t *testing.T) {
		c.nothingIsWrittenAnew(t, "applied again by Helm, and restarted", func() { c.installByHelm(t) }, func() { c.restart(t) })
	})
	t.Run("uninstalled and installed again", func(t *testing.T) { mountedTokensOutliveTheOperator(t, c) })
	c.noSecretIsTold(t)
	c.mustFindWhatIsThere(t)
}

// installedByKubectl shows that the other ways to install come to the same. An upgrade from the release before, once there is
// one, begins here: with its install.yaml instead of the kustomization, and the same question whether anything is written anew.
func installedByKubectl(t *testing.T, c *cluster) {
	c.isEmpty(t)
	defer c.removeAll(t, byKubectl)
	c.installByGuide(t, withKustomize)
	c.nameURL(t)
	samplesBecomeReady(t, c)
	c.nothingIsWrittenAnew(t, "applied again as one file, and restarted", func() { c.installByGuide(t, withKubectl) }, func() {
		c.rollOut(t, "set", "env", withoutStreams)
	})
	t.Run("the certificate is replaced without a failed call", func(t *testing.T) { theCertificateIsReplacedWithoutAFailedCall(t, c) })
	c.noSecretIsTold(t)
}

// withoutStreams makes the operator ask for lists in one piece, as with an API server that cannot stream them.
const withoutStreams = "KUBE_FEATURE_WatchListClient=false"
