package clientclaims

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/keyturn/keyturn/internal/domain/token"
)

var (
	errTooLong = fmt.Errorf("are longer than %d bytes of JSON: make fewer or shorter ones", token.MaxClaimsBytes)
	errNull    = errors.New("is null: let it be optional.none() where there shall be no claim")
	errNumber  = errors.New("is a number that JSON cannot write")
	errText    = errors.New("has a text that is not UTF-8")
	errName    = errors.New("is a map whose keys are not texts: use string()")
)

// present is the value of an expression, unless it is an optional value that has none.
func present(result ref.Val) (ref.Val, bool) {
	optional, ok := result.(*types.Optional)
	switch {
	case !ok:
		return result, true
	case optional.HasValue():
		return optional.GetValue(), true
	default:
		return nil, false
	}
}

// native turns a value of CEL into one that encoding/json writes. It takes at least a byte for each value, and each byte of text,
// from what is left, so that it ends soon, however often an expression repeats a value.
func native(value ref.Val, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, errTooLong
	}
	switch v := value.(type) {
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return uint64(v), nil
	case types.Double:
		return nativeNumber(float64(v))
	case types.String:
		return nativeText(string(v), left)
	case traits.Mapper:
		return nativeMap(v, left)
	case traits.Lister:
		return nativeList(v, left)
	default:
		return nativeOther(value)
	}
}

func nativeNumber(number float64) (any, error) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, errNumber
	}
	return number, nil
}

func nativeText(text string, left *int) (any, error) {
	if *left -= len(text); *left < 0 {
		return nil, errTooLong
	}
	if !utf8.ValidString(text) {
		return nil, errText
	}
	return text, nil
}

func nativeMap(object traits.Mapper, left *int) (any, error) {
	members := map[string]any{}
	for it := object.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, errName
		}
		if _, err := nativeText(string(name), left); err != nil {
			return nil, err
		}
		member, err := native(object.Get(key), left)
		if err != nil {
			return nil, err
		}
		members[string(name)] = member
	}
	return members, nil
}

func nativeList(list traits.Lister, left *int) (any, error) {
	elements := []any{}
	for it := list.Iterator(); it.HasNext() == types.True; {
		element, err := native(it.Next(), left)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	return elements, nil
}

// nativeOther is for null, which subject claims may hold, and for what JSON has no word for.
func nativeOther(value ref.Val) (any, error) {
	if value.Type() == types.NullType {
		return nil, nil
	}
	return nil, fmt.Errorf("holds a %s: make a text, number, boolean, list or map of it", value.Type().TypeName())
}
