// Command coredns is CoreDNS with the few plugins that resolve Service names in the cluster of hack/cluster.
//
// It is a Go module of its own, so that nothing else in the repository depends on CoreDNS.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	coremain.Run()
}
