package expression

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Values turns the numbers of a JSON object into those of CEL: an int where it is one, otherwise a double.
func Values(object map[string]any) (map[string]any, error) {
	converted := make(map[string]any, len(object))
	for name, member := range object {
		value, err := convert(member)
		if err != nil {
			return nil, err
		}
		converted[name] = value
	}
	return converted, nil
}

func convert(value any) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		return Values(value)
	case []any:
		return convertArray(value)
	case json.Number:
		return convertNumber(value)
	default:
		return value, nil
	}
}

func convertArray(array []any) (any, error) {
	converted := make([]any, 0, len(array))
	for _, element := range array {
		value, err := convert(element)
		if err != nil {
			return nil, err
		}
		converted = append(converted, value)
	}
	return converted, nil
}

func convertNumber(number json.Number) (any, error) {
	if whole, err := number.Int64(); err == nil {
		return whole, nil
	}
	fraction, err := number.Float64()
	if err != nil {
		return nil, fmt.Errorf("claims hold a number that is too large for a 64-bit float: write it as a string")
	}
	return fraction, nil
}

// causeOf says why an evaluation failed. CEL's own words can quote a claim, so they are shown only where the expression
// says the same.
func causeOf(err error, expression string) string {
	text := err.Error()
	name, missing := strings.CutPrefix(text, "no such key: ")
	switch {
	case missing && name != "" && strings.Contains(expression, name):
		return fmt.Sprintf("there is no %q", name)
	case missing:
		return "a claim or label is missing"
	case strings.Contains(text, "no such overload"):
		return "a claim is not of the type that the expression takes"
	case strings.Contains(text, "cost limit exceeded"):
		return "it costs too much on these claims"
	default:
		return "it fails on these claims"
	}
}
