package token_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/domain/token"
)

// someValue is any that claims have: as read from JSON, as CEL makes them, or as Keyturn sets them.
func someValue(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(), rapid.Float64().AsAny(), rapid.Bool().AsAny(),
		rapid.SliceOf(rapid.String()).AsAny(), rapid.Just[any](nil),
		rapid.Map(rapid.Int64(), func(n int64) json.Number { return json.Number(must(json.Marshal(n))) }).AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds, rapid.SliceOf(someValue(depth-1)).AsAny(), rapid.MapOf(rapid.String(), someValue(depth-1)).AsAny())
	}
	return rapid.OneOf(kinds...)
}

func must(encoded []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return encoded
}

func TestNoClaimsAreLongerThanTheirBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := rapid.MapOf(rapid.String(), someValue(2)).Draw(t, "claims")
		encoded, err := token.Encode(claims)
		if err != nil {
			t.Fatal(err)
		}
		if most := token.MostBytes(claims); most < len(encoded) {
			t.Errorf("%s has %d bytes, the bound is %d", encoded, len(encoded), most)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		request := drawRequest(t, 24*time.Hour)
		encoded, err := token.Encode(request.Payload("00000000-0000-4000-8000-000000000000", time.Unix(1_800_000_000, 0)))
		if most := request.MostBytes(); err != nil || most < len(encoded) {
			t.Errorf("%s has %d bytes, the bound is %d (%v)", encoded, len(encoded), most, err)
		}
	})
	if most := token.MostBytes(map[string]any{"text": "\x00\u2028\xff", "odd": []byte("x")}); most <= token.MaxClaimsBytes {
		t.Errorf("the bound of a value of unknown length is %d", most)
	}
}
