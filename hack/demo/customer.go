package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// How often the customer asks for a token, and how often it presents those that it has.
const (
	askEvery     = time.Second
	presentEvery = 250 * time.Millisecond
)

// customer is a program that asks for tokens with its client secret, refreshes them, and presents them to the gate. It speaks OAuth
// by golang.org/x/oauth2, as any program would.
type customer struct {
	name      string
	clock     clock.WithTicker
	http      *http.Client
	ask       clientcredentials.Config
	gate      string
	reports   chan<- report
	refreshes string
	held      []live
}

// report is what a customer tells: a token that it got, a token that it presented, or what went wrong.
type report struct {
	who       string
	token     string
	refreshed bool
	presented bool
	err       error
}

// newCustomer reads where to ask, and with which secret, from the Secret of its TokenClient.
func newCustomer(ctx context.Context, api client.Client, name, policy string, reports chan<- report) (*customer, error) {
	secret, ca := &corev1.Secret{}, &corev1.ConfigMap{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name + "-client"}, secret); err != nil {
		return nil, fmt.Errorf("read client secret: %w", err)
	}
	if err := api.Get(ctx, client.ObjectKey{Namespace: "keyturn-system", Name: "keyturn-ca"}, ca); err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca.Data["ca.crt"])) {
		return nil, errors.New("ConfigMap keyturn-ca holds no certificate")
	}
	endpoint := string(secret.Data[v1alpha1.SecretKeyTokenEndpoint])
	base, _, _ := strings.Cut(endpoint, "/"+namespace+"/")
	return &customer{
		name: name, clock: clock.RealClock{}, reports: reports, gate: base + "/verify/" + namespace + "/" + policy,
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		ask: clientcredentials.Config{
			ClientID:     string(secret.Data[v1alpha1.SecretKeyClientID]),
			ClientSecret: string(secret.Data[v1alpha1.SecretKeyClientSecret]),
			TokenURL:     endpoint, AuthStyle: oauth2.AuthStyleInHeader,
		},
	}, nil
}

// run goes on until the context ends.
func (c *customer) run(ctx context.Context) {
	ask, present := c.clock.NewTicker(askEvery), c.clock.NewTicker(presentEvery)
	defer ask.Stop()
	defer present.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ask.C():
			c.obtain(ctx)
		case <-present.C():
			c.presentAll(ctx)
		}
	}
}

func (c *customer) tell(ctx context.Context, r report) {
	if ctx.Err() != nil {
		return // What fails because the demo is over is no failure.
	}
	r.who = c.name
	select {
	case c.reports <- r:
	case <-ctx.Done():
	}
}

// obtain refreshes the last token, or asks for a first one.
func (c *customer) obtain(ctx context.Context) {
	by := context.WithValue(ctx, oauth2.HTTPClient, c.http)
	refreshed := c.refreshes != ""
	var got *oauth2.Token
	var err error
	if refreshed {
		again := oauth2.Config{ClientID: c.ask.ClientID, ClientSecret: c.ask.ClientSecret, Endpoint: oauth2.Endpoint{
			TokenURL: c.ask.TokenURL, AuthStyle: c.ask.AuthStyle,
		}}
		got, err = again.TokenSource(by, &oauth2.Token{RefreshToken: c.refreshes}).Token()
	} else {
		got, err = c.ask.Token(by)
	}
	if err != nil {
		c.tell(ctx, report{err: fmt.Errorf("ask for a token: %w", err)})
		return
	}
	c.refreshes = got.RefreshToken
	_, claims, err := verifier.Read(got.AccessToken)
	if err != nil {
		c.tell(ctx, report{err: err})
		return
	}
	c.held = append(c.held, live{compact: got.AccessToken, expires: claims.Expiry.Time()})
	c.tell(ctx, report{token: got.AccessToken, refreshed: refreshed})
}

// presentAll presents every token until once after it has expired.
func (c *customer) presentAll(ctx context.Context) {
	var remain []live
	for _, token := range c.held {
		before := c.clock.Now()
		status, err := c.present(ctx, token.compact)
		after := c.clock.Now()
		switch {
		case err != nil:
			c.tell(ctx, report{err: fmt.Errorf("present a token to the gate: %w", err)})
		case after.Before(token.expires) && status != http.StatusOK:
			c.tell(ctx, report{err: fmt.Errorf("the gate answers %d for a token that lives for another %s", status, token.expires.Sub(after))})
		case !before.Before(token.expires) && status != http.StatusUnauthorized:
			c.tell(ctx, report{err: fmt.Errorf("the gate answers %d for a token that has expired", status)})
		default:
			c.tell(ctx, report{presented: true})
		}
		if before.Before(token.expires) {
			remain = append(remain, token)
		}
	}
	c.held = remain
}

func (c *customer) present(ctx context.Context, token string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.gate, http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
