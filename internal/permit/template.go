package permit

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/keyturn/keyturn/api/v1alpha1"
	"github.com/keyturn/keyturn/internal/secrettemplate"
	"github.com/keyturn/keyturn/internal/spec"
)

// sampleID stands for the ID of a token that is not issued yet.
const sampleID = "00000000-0000-4000-8000-000000000000"

// checkTemplate renders each template of a ServiceToken with the values of a token that never was.
func checkTemplate(t *v1alpha1.ServiceToken) field.ErrorList {
	if t.Spec.SecretTemplate == nil {
		return nil
	}
	var refused field.ErrorList
	path := field.NewPath("spec", "secretTemplate", "data")
	for _, key := range slices.Sorted(maps.Keys(t.Spec.SecretTemplate.Data)) {
		text := t.Spec.SecretTemplate.Data[key]
		if _, err := secrettemplate.Render(map[string]v1alpha1.TemplateText{key: text}, sample(t)); err != nil {
			refused = append(refused, field.Invalid(path.Key(key), short(string(text)), err.Error()))
		}
	}
	return refused
}

// sample is what a template will see, of ordinary sizes where it is not known yet.
func sample(t *v1alpha1.ServiceToken) secrettemplate.Fields {
	f := secrettemplate.Fields{
		Token:   strings.Repeat("x", 1024),
		TokenID: sampleID, KeyID: strings.Repeat("x", 43), Issuer: "https://issuer.example",
		Subject:  t.Spec.Subject,
		IssuedAt: time.Unix(0, 0), ExpiresAt: time.Unix(0, 0).Add(spec.Duration(t)),
		Name: t.Name, Namespace: t.Namespace,
	}
	if t.Spec.ServiceAccountName != "" {
		f.Subject = spec.ServiceAccountSubject(t.Namespace, t.Spec.ServiceAccountName)
	}
	for _, audience := range t.Spec.Audiences {
		f.Audiences = append(f.Audiences, string(audience))
	}
	return f
}
