package denylist

import (
	"context"

	"k8s.io/apimachinery/pkg/types"

	"github.com/keyturn/keyturn/internal/domain/denylist"
	"github.com/keyturn/keyturn/pkg/verify"
)

// Denies is the deny list of a SigningKey for a verify.Issuer.
func (l *Lists) Denies(key types.NamespacedName) verify.DenyFunc {
	return func(ctx context.Context, token *verify.Token) (bool, error) {
		list, err := l.Of(ctx, key)
		if err != nil {
			return false, err
		}
		_, denied := list.Denies(denylist.Token{
			ID: token.ID, Subject: token.Subject, ClientID: token.ClientID, KeyID: token.KeyID, IssuedAt: token.IssuedAt,
		})
		return denied, nil
	}
}
