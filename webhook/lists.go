package webhook

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/internal/expression"
)

// mostFaults is how many faults of an object are told: the error that holds them takes a time that grows with their square.
const mostFaults = 64

// few are the first faults, and how many more there are.
func few(faults field.ErrorList) field.ErrorList {
	more := len(faults) - mostFaults
	if more <= 0 {
		return faults
	}
	return append(faults[:mostFaults:mostFaults], field.Forbidden(field.NewPath("spec"), fmt.Sprintf("there are %d faults more", more)))
}

// short keeps a value in a message within the length that the schema allows for it.
func short(value string) string {
	if len(value) <= expression.MaxBytes {
		return value
	}
	return strings.ToValidUTF8(value[:expression.MaxBytes], "") + "…"
}

// list is a list or map below spec, by its path, with its length and the most that the schema allows.
type list struct {
	path      string
	len, most int
}

// tooLong refuses lists that no API server lets through, before each of their elements costs something.
func tooLong(lists ...list) field.ErrorList {
	var faults field.ErrorList
	for _, l := range lists {
		if l.len > l.most {
			faults = append(faults, field.TooMany(field.NewPath("spec", strings.Split(l.path, ".")...), l.len, l.most))
		}
	}
	return faults
}
