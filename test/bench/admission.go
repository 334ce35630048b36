package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// pace is how often admission is asked while its latency is measured.
const pace = 100

// admission measures the webhooks as an API server calls them, without what the API server does itself.
func admission(ctx context.Context, w *World) (rows []Row, err error) {
	s, stop, err := w.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, kind := range []struct{ what, path string }{
		{"ServiceToken", "/validate-keyturn-dev-v1alpha1-servicetoken"},
		{"Secret with a token", "/validate-v1-secret-token"},
	} {
		more, err := s.admissionOf(ctx, kind.what, kind.path)
		if err != nil {
			return rows, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (s *served) admissionOf(ctx context.Context, what, at string) ([]Row, error) {
	review, err := s.review(what)
	if err != nil {
		return nil, err
	}
	const jsonType = "Content-Type: application/json"
	webhook := s.load("admission", plainRequest(http.MethodPost, at, review, jsonType))
	webhook.address = strings.TrimPrefix(s.Plane.cluster.Operator.Webhook, "https://")
	lets := s.yardstick.load("handler that admits", plainRequest(http.MethodPost, "/admit", review, jsonType))
	if err := mustAdmit(ctx, webhook); err != nil {
		return nil, err
	}
	const against = "handler that reads the review and admits"
	r, err := s.race(ctx, webhook, lets)
	if err != nil {
		return nil, err
	}
	rate, cpu := r.rows("admission of a "+what+", the most", "reviews", against)
	times, err := s.latency(ctx, "admission of a "+what, against, webhook, lets)
	return append([]Row{rate, cpu}, times...), err
}

// latency compares how long answers take at a steady pace.
func (s *served) latency(ctx context.Context, name, against string, one, other *load) ([]Row, error) {
	took, err := s.atPace(ctx, one)
	if err != nil {
		return nil, err
	}
	otherTook, err := s.atPace(ctx, other)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, percent := range []int{50, 99} {
		row := figure(fmt.Sprintf("%s at %d/s, p%d", name, pace, percent), percentile(took, percent), "ms")
		rows = append(rows, row.against(against, percentile(otherTook, percent)))
	}
	return rows, nil
}

// review is what an API server sends when somebody creates the object.
func (s *served) review(what string) (string, error) {
	var object client.Object = newToken(ours, 1, time.Hour)
	object.GetObjectKind().SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ServiceToken"))
	if what != "ServiceToken" {
		tokens, err := s.tokens(1)
		if err != nil {
			return "", err
		}
		object = &corev1.Secret{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: "restored"},
			Type: v1alpha1.SecretTypeToken, Data: map[string][]byte{v1alpha1.SecretKeyToken: []byte(tokens[0])},
		}
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	kind := object.GetObjectKind().GroupVersionKind()
	encoded, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Kind: metav1.GroupVersionKind(kind), Name: object.GetName(), Namespace: ours,
			Operation: admissionv1.Create, UserInfo: authenticationv1.UserInfo{Username: "somebody", Groups: []string{"system:authenticated"}},
			Object: runtime.RawExtension{Raw: raw},
		},
	})
	return string(encoded), err
}

// mustAdmit fails if the webhook refuses what is to be measured.
func mustAdmit(ctx context.Context, l *load) error {
	opened, err := dial(ctx, l.address)
	if err != nil {
		return err
	}
	defer func() { _ = opened.Close() }()
	_, body, err := opened.exchange(l.requests[0], true)
	if err != nil {
		return err
	}
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &answer); err != nil || answer.Response == nil || !answer.Response.Allowed {
		return fmt.Errorf("the webhook does not admit what it shall be measured with: %s", body)
	}
	return nil
}

// atPace asks at a steady pace, whether or not the answers keep up, and returns how long each took from when it was due, shortest first.
func (s *served) atPace(ctx context.Context, l *load) ([]time.Duration, error) {
	n := s.Size.Of(3000, 1000, 20)
	took := make([]time.Duration, n)
	var began time.Time // Known before the first is due.
	next := make(chan int, n)
	group, ctx := errgroup.WithContext(ctx)
	defer l.close()
	if err := l.open(ctx); err != nil {
		return nil, err
	}
	for _, opened := range l.connections {
		group.Go(func() error {
			for i := range next {
				if status, _, err := opened.exchange(l.requests[0], false); err != nil || status != http.StatusOK {
					return fmt.Errorf("%s answers %d: %w", l.name, status, err)
				}
				took[i] = s.Clock.Since(began.Add(due(i)))
			}
			return nil
		})
	}
	began = s.Clock.Now()
	for i := range n {
		if wait := due(i) - s.Clock.Since(began); wait > 0 {
			<-s.Clock.After(wait)
		}
		next <- i
	}
	close(next)
	err := group.Wait()
	slices.Sort(took)
	return took, err
}

// due is when the i-th request is, from the first on.
func due(i int) time.Duration { return time.Duration(i) * time.Second / pace }

// percentile is in milliseconds.
func percentile(sorted []time.Duration, percent int) float64 {
	return float64(sorted[len(sorted)*percent/100].Microseconds()) / 1000 //nolint:mnd // Hundredths; and milliseconds.
}
