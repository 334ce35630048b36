package cluster

import (
	"context"
	"fmt"
	"io"
)

// Status writes to out which programs of the cluster run, and how to use it.
func Status(ctx context.Context, options Options, out io.Writer) error {
	l, err := newLayout(options)
	if err != nil {
		return err
	}
	found, err := inspect(ctx, l)
	if err != nil {
		return fmt.Errorf("look for the cluster: %w", err)
	}
	if !found.found {
		say(out, "No cluster is running; `make up` starts one.")
		return nil
	}
	for _, name := range stopOrder() {
		if identity, alive := found.alive[name]; alive {
			say(out, "%-24s process %d", name, identity.PID)
		} else if found.state.has(name) {
			say(out, "%-24s has ended, see %s", name, l.log(name))
		}
	}
	if !found.running() {
		say(out, "The cluster is not complete: it is starting, or a part has died. `make up` starts a new one.")
		return nil
	}
	explain(out, l, found.state)
	return nil
}

func explain(out io.Writer, l layout, s state) {
	say(out, `
A Kubernetes control plane is up at %s. To use it:

  export KUBECONFIG=%q
  export PATH="%s:$PATH"
  kubectl apply -f config/samples
  kubectl get keyturn -A

Logs: %s. Stop it with: make down`, httpsURL(s.Ports.Server), l.kubeconfig(), l.run("bin"), l.logs())
	if s.has(operatorName) {
		say(out, "Metrics of the operator: http://%s/metrics", address(s.Ports.Metrics))
		say(out, "JWKS of each SigningKey: %s/<namespace>/<name>/jwks.json, its CA is in ConfigMap keyturn-ca of %s",
			httpsURL(s.Ports.HTTPS), operatorNamespace)
	}
	say(out, `
This is a development cluster: durations may be as short as %s, where production demands minutes,
a signer counts as stale after %s, no pod ever runs, and etcd does not wait for the disk.`, minimumDuration, signerStaleness)
}

// explainOperator tells those who run the operator themselves how to.
func explainOperator(out io.Writer, p plan) {
	say(out, "\nThe operator is left out; its webhooks answer only when you run it:\n\n  go run ./cmd/keyturn \\")
	arguments := p.operatorArguments()
	for i, argument := range arguments {
		continued := " \\"
		if i == len(arguments)-1 {
			continued = ""
		}
		say(out, "    %s%s", argument, continued)
	}
}
