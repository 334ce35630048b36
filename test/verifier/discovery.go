package verifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// largest is more than any document of an issuer needs, in bytes.
const largest = 1 << 20

// Discovery is the source of an issuer that is an https URL (OpenID Connect Discovery 1.0, section 4): its configuration
// names the JWKS, and the Cache-Control of that says how long it is fresh.
func Discovery(client *http.Client, issuer string) Source {
	return func(ctx context.Context, _ time.Time) ([]byte, time.Duration, error) {
		text, _, err := get(ctx, client, issuer+"/.well-known/openid-configuration")
		if err != nil {
			return nil, 0, err
		}
		var configuration struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		if err := json.Unmarshal(text, &configuration); err != nil {
			return nil, 0, fmt.Errorf("read the configuration of %s: %w", issuer, err)
		}
		if configuration.Issuer != issuer {
			return nil, 0, fmt.Errorf("the configuration of %s is that of %q", issuer, configuration.Issuer)
		}
		jwks, header, err := get(ctx, client, configuration.JWKSURI)
		if err != nil {
			return nil, 0, err
		}
		fresh, err := freshness(header)
		return jwks, fresh, err
	}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for %q: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("get %s: %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, largest))
	if err != nil {
		return nil, nil, fmt.Errorf("get %s: %w", url, err)
	}
	return body, response.Header, nil
}

// freshness reads Cache-Control (RFC 9111, section 5.2.2): max-age, or nothing at all where the answer is to be asked for
// again each time.
func freshness(header http.Header) (time.Duration, error) {
	for directive := range strings.SplitSeq(header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-cache", "no-store":
			return 0, nil
		case "max-age":
			seconds, err := strconv.Atoi(value)
			if err != nil {
				return 0, fmt.Errorf("read max-age: %w", err)
			}
			return time.Duration(seconds) * time.Second, nil
		}
	}
	return 0, errors.New("the answer does not say how long the JWKS may be kept")
}
