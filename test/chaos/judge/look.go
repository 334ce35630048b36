package judge

import (
	"context"
	"encoding/json"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/test/verifier"
)

// mostKeys is how many keys a JWKS may have.
const mostKeys = 10

// look reads all that is issued, and then all that is published: a key is published before it signs. While the API server does not
// answer, readers have what they had.
func (j *Judge) look(ctx context.Context) {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ours := client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	var secrets corev1.SecretList
	var copies corev1.ConfigMapList
	if j.api.List(ctx, &secrets, ours, client.MatchingFields{"type": string(v1alpha1.SecretTypeToken)}) != nil {
		return
	}
	now := j.clock.Now()
	if j.api.List(ctx, &copies, ours) != nil {
		return
	}
	for i := range copies.Items {
		if jwks, published := copies.Items[i].Data[v1alpha1.ConfigMapKeyJWKS]; published {
			j.seeJWKS(now, copies.Items[i].Data[v1alpha1.ConfigMapKeyIssuer], jwks)
		}
	}
	for i := range secrets.Items {
		if compact := string(secrets.Items[i].Data[v1alpha1.SecretKeyToken]); compact != "" {
			j.seeToken(secrets.Items[i].Namespace+"/"+secrets.Items[i].Name, compact)
		}
	}
}

func (j *Judge) seeJWKS(now time.Time, name, jwks string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	of := j.issuer(name)
	if of.latest == jwks {
		return
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &set); err != nil || len(set.Keys) == 0 || len(set.Keys) > mostKeys {
		j.fail("%s publishes %d keys (%v)", name, len(set.Keys), err)
	}
	of.latest = jwks
	of.published.Publish(now, jwks)
	for i := range set.Keys {
		if k := of.key(set.Keys[i].KeyID); k.published.IsZero() {
			k.published = now
		}
	}
	for id, k := range of.keys {
		listed := len(set.Key(id)) > 0
		switch {
		case k.revoked.IsZero():
		case listed && !k.gone.IsZero():
			j.fail("%s publishes the revoked key %.8s again", name, id)
		case !listed && k.gone.IsZero():
			k.gone = now
		}
	}
}

func (j *Judge) issuer(name string) *issuer {
	if j.issuers[name] == nil {
		published := &verifier.Published{}
		j.issuers[name] = &issuer{
			published: published, keys: map[string]*key{},
			verifiers: published.Verifiers(name, j.declared.Audience, j.declared.Cache, j.declared.Propagation),
		}
	}
	return j.issuers[name]
}

func (i *issuer) key(id string) *key {
	if i.keys[id] == nil {
		i.keys[id] = &key{}
	}
	return i.keys[id]
}

// Take has a token judged from now on.
func (j *Judge) Take(of, compact string) { j.seeToken(of, compact) }

func (j *Judge) seeToken(of, compact string) {
	keyID, claims, err := verifier.Read(compact)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.fail("%s holds no token: %v", of, err)
		return
	}
	if _, known := j.tokens[claims.ID]; known || !j.clock.Now().Before(claims.Expiry.Time()) {
		return
	}
	j.tokens[claims.ID] = token{of: of, compact: compact, issuer: claims.Issuer, keyID: keyID, expires: claims.Expiry.Time()}
	j.count.Tokens++
	k := j.issuer(claims.Issuer).key(keyID)
	if !k.gone.IsZero() && claims.IssuedAt.Time().After(k.gone.Add(j.declared.Skew)) {
		j.fail("%s holds a token that the revoked key %.8s has signed afterwards", of, keyID)
	}
}
