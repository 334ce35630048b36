package app

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/keyturn/keyturn/internal/freshness"
)

// oneSecret is a namespace with one Secret, which can be forbidden to read, and be deleted.
type oneSecret struct {
	clock           clock.RealClock
	forbidden, gone atomic.Bool
	// expired ends the present watch in a way after which everything is listed anew.
	expired chan struct{}
}

func (o *oneSecret) refused() error {
	if o.forbidden.Load() {
		return apierrors.NewForbidden(corev1.Resource("secrets"), "", errors.New("no Role says so"))
	}
	return nil
}

func (o *oneSecret) listerWatcher() *toolscache.ListWatch {
	secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", ResourceVersion: "7"}}
	return &toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			if err := o.refused(); err != nil {
				return nil, err
			}
			if o.gone.Load() {
				return &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "9"}}, nil
			}
			return &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []corev1.Secret{secret}}, nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if err := o.refused(); err != nil {
				return nil, err
			}
			if options.SendInitialEvents != nil {
				return nil, errors.New("this server streams no lists")
			}
			events := watch.NewFakeWithChanSize(1, false)
			if options.ResourceVersion == "" && !o.gone.Load() {
				events.Add(&secret)
			}
			go func() {
				select {
				case <-ctx.Done():
				case <-o.expired:
					events.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
				case <-o.clock.After(time.Duration(*options.TimeoutSeconds) * time.Second):
				}
				events.Stop()
			}()
			return events, nil
		},
	}
}

func pause(d time.Duration) {
	clock.RealClock{}.Sleep(d)
	synctest.Wait()
}

func TestANamespaceThatMayNotBeReadIsNoReasonNotToBeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		view := freshness.New(clock.RealClock{}, 2*time.Minute)
		options := cache.Options{NewInformer: view.NewInformer}
		restrict(&options, []string{"shop"})
		shop := &oneSecret{expired: make(chan struct{})}
		shop.forbidden.Store(true)
		informer := options.NewInformer(shop.listerWatcher(), &corev1.Secret{}, 0, toolscache.Indexers{})
		go informer.RunWithContext(t.Context())
		holds := func(what string, secrets int) {
			t.Helper()
			if n := len(informer.GetStore().ListKeys()); n != secrets {
				t.Errorf("%s: the cache holds %d Secrets, want %d", what, n, secrets)
			}
			if err := view.Fresh(nil); err != nil {
				t.Errorf("%s: not ready: %v", what, err)
			}
		}

		pause(time.Second)
		holds("at the start", 0)
		pause(time.Hour)
		holds("without rights for an hour", 0)
		shop.forbidden.Store(false)
		pause(2 * time.Minute)
		holds("with rights", 1)
		shop.forbidden.Store(true)
		pause(time.Hour)
		holds("without rights again", 1)
		shop.forbidden.Store(false)
		pause(2 * time.Minute)
		shop.forbidden.Store(true)
		shop.expired <- struct{}{}
		pause(time.Hour)
		holds("without rights, and all listed anew", 1)
		shop.gone.Store(true)
		shop.forbidden.Store(false)
		pause(2 * time.Minute)
		holds("with rights, when the Secret has been deleted meanwhile", 0)
	})
}
