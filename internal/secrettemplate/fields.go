package secrettemplate

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Fields is what a template can say of a token. It prints, logs and marshals without the token.
type Fields struct {
	// Token is the compact token.
	Token   string
	TokenID string
	KeyID   string

	Issuer    string
	Subject   string
	Audiences []string
	// IssuedAt and ExpiresAt are rendered in UTC as RFC 3339.
	IssuedAt  time.Time
	ExpiresAt time.Time

	// Name and Namespace are those of the ServiceToken.
	Name      string
	Namespace string
}

// String says whose token this is, never the token.
func (f Fields) String() string {
	return fmt.Sprintf("[redacted token of %s/%s]", f.Namespace, f.Name)
}

// Format writes String for every verb and flag.
func (f Fields) Format(state fmt.State, _ rune) {
	_, _ = io.WriteString(state, f.String()) // package fmt buffers, and a Formatter cannot report a failure
}

// LogValue logs String.
func (f Fields) LogValue() slog.Value { return slog.StringValue(f.String()) }

// MarshalJSON encodes String.
func (f Fields) MarshalJSON() ([]byte, error) { return json.Marshal(f.String()) }

// view is what a template sees. It has no methods, because a template could call them.
type view struct {
	Token, TokenID, KeyID string
	Issuer, Subject       string
	Audiences             []string
	IssuedAt, ExpiresAt   string
	Name, Namespace       string
}

func (f Fields) view() view {
	return view{
		Token: f.Token, TokenID: f.TokenID, KeyID: f.KeyID,
		Issuer: f.Issuer, Subject: f.Subject, Audiences: f.Audiences,
		IssuedAt: f.IssuedAt.UTC().Format(time.RFC3339), ExpiresAt: f.ExpiresAt.UTC().Format(time.RFC3339),
		Name: f.Name, Namespace: f.Namespace,
	}
}

func names() []string {
	return []string{
		".Token", ".TokenID", ".KeyID", ".Issuer", ".Subject", ".Audiences", ".IssuedAt", ".ExpiresAt", ".Name", ".Namespace",
	}
}
