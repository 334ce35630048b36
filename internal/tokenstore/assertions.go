package tokenstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Record is of [Assertions].
func (s *Store) Record(ctx context.Context, assertion Assertion, now time.Time) (isNew bool, err error) {
	defer measure("Record", func() string { return outcomeOfAssertion(isNew, err) })()
	err = s.ask(ctx, func(ctx context.Context, q querier) error {
		n, err := s.exec(ctx, q, `
			INSERT INTO keyturn_used_assertions (hash, expires_at) VALUES ($1, $2)
			ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE keyturn_used_assertions.expires_at <= $3`,
			assertion.hash(), assertion.expiresAt(), now.Unix())
		isNew = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("record a client assertion: %w", err)
	}
	return isNew, nil
}

// expiresAt is never earlier than Until.
func (a Assertion) expiresAt() int64 {
	return a.Until.Add(time.Second - time.Nanosecond).Unix()
}

// hash is of all that tells assertions apart. The lengths keep one field from running into the next.
func (a Assertion) hash() string {
	hash := sha256.New()
	for _, part := range []string{a.Audience, a.Client, a.ID} {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write([]byte(part))
	}
	return hex.EncodeToString(hash.Sum(nil))
}
