package permit

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/internal/domain/token"
	"github.com/keyturn/keyturn/internal/jose"
)

// checkSize measures the token that would be issued now: each part keeps its own bounds, and together they can be too much.
func checkSize(request token.Request, now time.Time) field.ErrorList {
	if jose.CompactBytes(request.Type, request.MostBytes()) <= jose.MaxTokenBytes {
		return nil
	}
	claims, err := token.Encode(request.Payload(sampleID, now.UTC()))
	if err != nil {
		return field.ErrorList{field.Forbidden(field.NewPath("spec", "claims"), err.Error())}
	}
	size := jose.CompactBytes(request.Type, len(claims))
	if size <= jose.MaxTokenBytes {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), fmt.Sprintf(
		"audiences, claims, subject and the issuer of the SigningKey make a token of up to %d bytes, at most %d are allowed: "+
			"shorten spec.claims or spec.audiences", size, jose.MaxTokenBytes))}
}
