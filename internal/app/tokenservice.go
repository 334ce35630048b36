package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/keyturn/keyturn/internal/clientauth"
	"github.com/keyturn/keyturn/internal/tokenservice"
	"github.com/keyturn/keyturn/internal/tokenstore"
)

// completeTokenStore reads the URL from its file.
func (o *Options) completeTokenStore() error {
	if o.TokenStoreFile != "" {
		if o.TokenStore != "" {
			return errors.New("--token-store and --token-store-file: give one of them")
		}
		text, err := os.ReadFile(o.TokenStoreFile)
		if err != nil {
			return fmt.Errorf("--token-store-file: %w", err)
		}
		o.TokenStore = strings.TrimSpace(string(text))
		if o.TokenStore == "" {
			return fmt.Errorf("--token-store-file=%q: the file is empty: write the URL of a database into it", o.TokenStoreFile)
		}
	} else if at, err := url.Parse(o.TokenStore); err == nil && at.User != nil {
		if _, has := at.User.Password(); has {
			return errors.New("--token-store has a password, which everybody sees who lists processes or reads the Pod: use --token-store-file")
		}
	}
	o.Operator.HasTokenStore = o.TokenStore != ""
	return checkLimits(o.TokenLimits)
}

func checkLimits(l tokenservice.Limits) error {
	if l.PerAddress < 0 || l.PerClient < 0 {
		return errors.New("--token-endpoint-address-qps and --token-endpoint-client-qps: must not be negative")
	}
	return nil
}

// openTokenStore opens what the flags name; nothing if they name none.
func openTokenStore(ctx context.Context, mgr ctrl.Manager, o Options) (*tokenstore.Store, error) {
	if o.TokenStore == "" {
		return nil, nil //nolint:nilnil // No store is what the flags ask for.
	}
	store, err := tokenstore.Open(ctx, o.TokenStore)
	if err != nil {
		return nil, fmt.Errorf("open token store: %w", err)
	}
	sweeper := &tokenstore.Sweeper{Store: store, Clock: o.Clock, Logger: mgr.GetLogger().WithName("tokenstore")}
	if err := mgr.Add(sweeper); err != nil {
		return nil, errors.Join(fmt.Errorf("add sweeper: %w", err), store.Close())
	}
	// It is told at /readyz, but keeps no replica from serving what needs no store: the probe of the Pod leaves it out.
	if err := mgr.AddReadyzCheck("token-store", logged(mgr.GetLogger().WithName("tokenstore"), store.Ready)); err != nil {
		return nil, errors.Join(fmt.Errorf("add readiness check: %w", err), store.Close())
	}
	return store, nil
}

// tokenEndpoints answers clients, and leaves all other requests to the next handler.
func tokenEndpoints(mgr ctrl.Manager, o Options, parts *shared, next http.Handler) http.Handler {
	proving := clientauth.Options{Cache: mgr.GetCache(), Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: o.Clock, Operator: o.Operator}
	serving := tokenservice.Options{
		Reader: mgr.GetCache(), Clock: o.Clock, Operator: o.Operator, Permit: parts.permits, Rings: parts.rings,
		DenyLists: parts.lists, View: parts.view, Recorder: mgr.GetEventRecorder("keyturn-tokenservice"),
		Log: ctrl.Log.WithName("audit"), Limits: o.TokenLimits,
	}
	if parts.store != nil {
		serving.Families, proving.Assertions = parts.store, used{parts.store}
	}
	serving.Clients = clientauth.New(proving)
	return tokenservice.NewHandler(serving, next)
}

// used remembers assertions where every replica can know of them.
type used struct{ store *tokenstore.Store }

func (u used) Record(ctx context.Context, assertion clientauth.Assertion, now time.Time) (bool, error) {
	return u.store.Record(ctx, tokenstore.Assertion(assertion), now)
}
