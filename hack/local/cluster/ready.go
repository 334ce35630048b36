package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/keyturn/keyturn/hack/local/binaries"
	"github.com/keyturn/keyturn/hack/local/ready"
)

const (
	// startTimeout is for one step on a slow and busy machine; four seconds are usual for all of them.
	startTimeout = 2 * time.Minute
	// answerTimeout is for one question to something that already runs.
	answerTimeout = 15 * time.Second
)

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
		kubectl := l.client()
		if err := kubectl.TryCreate(ctx, probeKey()); err != nil {
			return err
		}
		hopeless := probeKey()
		field(hopeless, "spec")["tokens"] = object{"rules": []object{{"expression": "(", "message": "never"}}}
		err := kubectl.TryCreate(ctx, hopeless)
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

func serverQuestion(l layout) ready.Question {
	return ready.Question{What: "the API server", LogFile: l.log(binaries.APIServer), Ask: l.client().ServerReady}
}

// answers waits until everything answers that a user of the cluster relies on.
func answers(ctx context.Context, l layout, s state, timeout time.Duration) error {
	for _, question := range []struct {
		component string
		what      string
		ask       func(context.Context) error
	}{
		{binaries.APIServer, "the API server", l.client().ServerReady},
		{binaries.ControllerManager, "the controller manager", l.client().AccountsReady},
		{operatorName, "the operator", operatorReady(s.Ports)},
		{operatorName, "the admission of SigningKeys", admissionReady(l)},
	} {
		if !s.has(question.component) {
			continue
		}
		asked := ready.Question{What: question.what, LogFile: l.log(question.component), Ask: question.ask}
		if err := asked.Wait(ctx, timeout); err != nil {
			return err
		}
	}
	return nil
}
