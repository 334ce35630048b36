package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
)

// diskSize is enough for the token store of a few clients.
const diskSize = "2m"

// diskFull fills the disk of the token store while clients refresh. They are told to come back, and when there is room again each of
// them can use what it has. The disk is a file system in memory that only the operator sees.
func diskFull(ctx context.Context, w *world) (times int, err error) {
	if err := w.none(); err != nil {
		return 0, err
	}
	r := w.replicas[0]
	plain := r.program
	defer func() {
		r.program = plain
		err = errors.Join(err, w.alone(ctx))
	}()
	store, err := filepath.Abs(filepath.Join(folder, "token-store"))
	if err != nil {
		return 0, fmt.Errorf("find the token store: %w", err)
	}
	r.program = onSmallDisk(r.program, store)
	if err := r.start(ctx, "--token-store=sqlite://"+filepath.Join(store, "tokens.db")); err != nil {
		return 0, err
	}
	clients, err := w.refreshers(ctx)
	if err != nil {
		return 0, err
	}
	full := filepath.Join("/proc", strconv.Itoa(r.pid), "root", store, "full")
	for range 3 {
		if err := fill(full); err != nil {
			return times, err
		}
		refused, err := w.refreshAll(ctx, clients)
		times += refused
		if err := errors.Join(err, os.Remove(full)); err != nil {
			return times, err
		}
		err = w.eventually(ctx, "every client refreshes", func(ctx context.Context) error {
			refused, err := w.refreshAll(ctx, clients)
			if err == nil && refused > 0 {
				err = fmt.Errorf("%d were told to come back", refused)
			}
			return err
		})
		if err != nil {
			return times, err
		}
	}
	return times, nil
}

// fill writes to a file until there is no room.
func fill(path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	const block = 4096
	for {
		if _, err := file.Write(bytes.Repeat([]byte{1}, block)); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return nil
			}
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
}

// refresher is a client that holds a refresh token.
type refresher struct {
	name  string
	http  *http.Client
	asks  clientcredentials.Config
	holds string
}

// refreshers are clients that have asked for a first token.
func (w *world) refreshers(ctx context.Context) ([]*refresher, error) {
	const namespace, name, count = "disk", "key", 5
	if err := w.create(ctx, newNamespace(namespace), signingKey(namespace, name, "ES256", period, longestToken)); err != nil {
		return nil, err
	}
	var clients []*refresher
	for i := range count {
		r := &refresher{name: fmt.Sprintf("client-%d", i)}
		err := w.create(ctx, &v1alpha1.TokenClient{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: r.name},
			Spec: v1alpha1.TokenClientSpec{
				SigningKeyRef:       v1alpha1.SigningKeyReference{Name: name},
				Authentication:      v1alpha1.ClientAuthentication{ClientSecret: &v1alpha1.ClientSecretAuthentication{}},
				GrantTypes:          []v1alpha1.GrantType{v1alpha1.GrantClientCredentials, v1alpha1.GrantRefreshToken},
				Audiences:           []v1alpha1.Audience{audience},
				AccessTokenDuration: seconds(longestToken),
			},
		})
		if err != nil {
			return nil, err
		}
		if err := w.eventually(ctx, r.name+" asks for a token", func(ctx context.Context) error { return w.ask(ctx, namespace, r) }); err != nil {
			return nil, err
		}
		clients = append(clients, r)
	}
	return clients, nil
}

func (w *world) ask(ctx context.Context, namespace string, r *refresher) error {
	secret, ca := &corev1.Secret{}, &corev1.ConfigMap{}
	if err := errors.Join(w.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: r.name + "-client"}, secret),
		w.api.Get(ctx, client.ObjectKey{Namespace: "keyturn-system", Name: "keyturn-ca"}, ca)); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.Data["ca.crt"]))
	r.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	r.asks = clientcredentials.Config{
		ClientID:     string(secret.Data[v1alpha1.SecretKeyClientID]),
		ClientSecret: string(secret.Data[v1alpha1.SecretKeyClientSecret]),
		TokenURL:     string(secret.Data[v1alpha1.SecretKeyTokenEndpoint]), AuthStyle: oauth2.AuthStyleInHeader,
	}
	got, err := r.asks.Token(context.WithValue(ctx, oauth2.HTTPClient, r.http))
	if err != nil {
		return err
	}
	w.judge.Take(r.name, got.AccessToken)
	r.holds = got.RefreshToken
	return nil
}

// refreshAll has every client use its refresh token, and counts those that are told to come back with it. Any other refusal is an error.
func (w *world) refreshAll(ctx context.Context, clients []*refresher) (refused int, err error) {
	for _, r := range clients {
		again := oauth2.Config{ClientID: r.asks.ClientID, ClientSecret: r.asks.ClientSecret, Endpoint: oauth2.Endpoint{
			TokenURL: r.asks.TokenURL, AuthStyle: r.asks.AuthStyle,
		}}
		got, err := again.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, r.http), &oauth2.Token{RefreshToken: r.holds}).Token()
		var failed *oauth2.RetrieveError
		switch {
		case err == nil:
			r.holds = got.RefreshToken
			w.judge.Take(r.name, got.AccessToken)
		case errors.As(err, &failed) && failed.Response.StatusCode == http.StatusServiceUnavailable:
			refused++
		case errors.As(err, &failed):
			w.judge.Fail("%s has lost its refresh token: %s %s", r.name, failed.Response.Status, failed.ErrorCode)
			return refused, err
		default:
			return refused, err
		}
	}
	return refused, nil
}
