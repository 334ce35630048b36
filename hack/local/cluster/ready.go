package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/keyturn/keyturn/hack/local/binaries"
)

const (
	pollInterval = 300 * time.Millisecond
	// startTimeout is for one step on a slow and busy machine; four seconds are usual for all of them.
	startTimeout = 2 * time.Minute
	// answerTimeout is for one question to something that already runs.
	answerTimeout = 15 * time.Second
)

// question is what a component must answer before anybody can rely on it.
type question struct {
	what      string
	component string
	ask       func(context.Context) error
}

// wait asks again and again. When time has run out it returns the last answer and the end of the component's log.
func (q question) wait(ctx context.Context, l layout, timeout time.Duration) error {
	var answer error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
		latest := q.ask(ctx)
		if latest == nil || ctx.Err() == nil { // An answer cut short by the timeout says less than the one before.
			answer = latest
		}
		return latest == nil, nil
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return withLog(fmt.Errorf("%s was not ready within %s: %w", q.what, timeout, answer), l.log(q.component))
	}
}

// serverReady asks all readiness checks of the API server.
func serverReady(l layout) func(context.Context) error {
	return func(ctx context.Context) error {
		return kubectl{layout: l}.run(ctx, nil, "get", "--raw=/readyz", "--request-timeout=5s")
	}
}

// accountsReady tells that the controller manager works: it creates this ServiceAccount.
func accountsReady(l layout) func(context.Context) error {
	return func(ctx context.Context) error {
		return kubectl{layout: l}.run(ctx, nil, "get", "serviceaccount/default", "--namespace=default")
	}
}

// operatorReady asks the operator's own readiness check.
func operatorReady(p ports) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(p.Health)+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET /readyz: %s: %s", response.Status, body)
		}
		return nil
	}
}

// admissionReady tells that the API server reaches the webhooks: a good key passes, and one with a rule that does not
// compile is refused. Only the webhooks compile rules, so the refusal shows that the API server knows of them.
func admissionReady(l layout) func(context.Context) error {
	return func(ctx context.Context) error {
		kubectl := kubectl{layout: l}
		if err := kubectl.tryCreate(ctx, probeKey()); err != nil {
			return err
		}
		hopeless := probeKey()
		field(hopeless, "spec")["tokens"] = object{"rules": []object{{"expression": "(", "message": "never"}}}
		err := kubectl.tryCreate(ctx, hopeless)
		if err == nil {
			return errors.New("the webhooks do not judge SigningKeys yet")
		}
		if !strings.Contains(err.Error(), "spec.tokens.rules") {
			return err
		}
		return nil
	}
}

func probeKey() object {
	key := newObject("keyturn.dev/v1alpha1", "SigningKey", operatorNamespace, "readiness-probe")
	key["spec"] = object{"issuer": "https://readiness-probe.invalid"}
	return key
}

func serverQuestion(l layout) question {
	return question{"the API server", binaries.APIServer, serverReady(l)}
}

// ready waits until everything answers that a user of the cluster relies on.
func ready(ctx context.Context, l layout, s state, timeout time.Duration) error {
	for _, question := range []question{
		serverQuestion(l),
		{"the controller manager", binaries.ControllerManager, accountsReady(l)},
		{"the operator", operatorName, operatorReady(s.Ports)},
		{"the admission of SigningKeys", operatorName, admissionReady(l)},
	} {
		if !s.has(question.component) {
			continue
		}
		if err := question.wait(ctx, l, timeout); err != nil {
			return err
		}
	}
	return nil
}
