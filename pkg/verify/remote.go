package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Fetch says how keys are fetched by HTTPS: with HTTP/2 or 1.1, TLS 1.2 or later, through the proxy that HTTPS_PROXY
// names, within 5 seconds, without redirects, and at most every 10 seconds, also if tokens name keys that are not known.
type Fetch struct {
	// CAFile holds the certificates, in PEM, of the CAs that are trusted instead of the system's. It is read anew for each
	// fetch, so that a new CA needs no restart. For the operator's own address it is ca.crt of the ConfigMap keyturn-ca.
	CAFile string
	// CA holds such certificates itself; not both are set.
	CA []byte
	// CacheDuration is the longest time for which fetched keys are used before they are fetched again, 1 minute to 24 hours.
	// The server can shorten it by Cache-Control, down to 10 seconds. It must not be longer than
	// spec.rotation.verifierCacheDuration of the SigningKey: after that time a new key may sign. 0 means 1 hour, which is the
	// default there too.
	CacheDuration time.Duration
	// MaxStale is for how much longer keys are used while they cannot be fetched, up to 24 hours. Until then nobody here
	// learns of a key that is revoked during the outage. 0 means 1 hour; less than 0 means not at all.
	MaxStale time.Duration

	transport http.RoundTripper // of tests; nil otherwise
}

func (f Fetch) timing() (timing, error) {
	cache := f.CacheDuration
	if cache == 0 {
		cache = defaultCache
	}
	maxStale, err := staleness(f.MaxStale)
	within := cache >= time.Minute && cache <= longest
	err = errors.Join(err, require(within, fmt.Sprintf("CacheDuration is %v, use %v to %v", cache, time.Minute, longest)),
		require(f.CA == nil || f.CAFile == "", "CA and CAFile are both set"),
		require(f.CA == nil || x509.NewCertPool().AppendCertsFromPEM(f.CA), "CA has no certificate in PEM"))
	return timing{atLeast: fetchInterval, atMost: cache, maxStale: maxStale}, err
}

// URL fetches the keys from the URL of a JWK Set. As [Issuer].DenyList it fetches a deny list: then a CacheDuration of 0 means 1
// minute.
type URL struct {
	// URL is an https URL: that of jwks.json of a SigningKey, or jwks_uri of another issuer; of a deny list, that of
	// revocations.json of a SigningKey.
	URL string
	Fetch
}

func (u URL) open(_ string, clock func() time.Time) (source[keySet], error) {
	load, timing, err := u.loader(maxKeySetBytes)
	return newKeeper(load, timing, clock), err
}

func (u URL) loader(limit int64) (loader, timing, error) {
	timing, err := u.timing()
	fetcher := &fetcher{Fetch: u.Fetch}
	return func(ctx context.Context, known validators) (loaded, error) {
		read, err := fetcher.get(ctx, u.URL, known.document, limit)
		return loaded{data: read.content, lifetime: read.lifetime, validators: validators{document: read.tag}}, err
	}, timing, errors.Join(err, checkURL("URL", u.URL))
}

// Discovery fetches the keys from where the issuer says they are: jwks_uri in the document at
// /.well-known/openid-configuration below the issuer (OpenID Connect Discovery 1.0 section 4). [Issuer].Name must be an
// https URL then, and the document must name it to the letter. The document is fetched before the keys each time.
type Discovery struct{ Fetch }

func (d Discovery) open(issuer string, clock func() time.Time) (source[keySet], error) {
	timing, err := d.timing()
	discovery := discovery{issuer: issuer, fetcher: &fetcher{Fetch: d.Fetch}}
	return newKeeper(discovery.load, timing, clock),
		errors.Join(err, checkURL("Name", issuer), require(!strings.Contains(issuer, "?"), "Name has a query"))
}

type discovery struct {
	issuer  string
	fetcher *fetcher
}

func (d discovery) load(ctx context.Context, known validators) (loaded, error) {
	configuration, err := d.fetcher.get(ctx, strings.TrimSuffix(d.issuer, "/")+"/.well-known/openid-configuration", known.configuration, maxKeySetBytes)
	if err != nil {
		return loaded{}, err
	}
	found := validators{configuration: configuration.tag, keysURL: known.keysURL}
	if configuration.content != nil {
		if found.keysURL, err = d.keysURL(configuration.content); err != nil {
			return loaded{}, err
		}
	}
	if found.keysURL != known.keysURL {
		known.document = "" // It tags another document.
	}
	set, err := d.fetcher.get(ctx, found.keysURL, known.document, maxKeySetBytes)
	found.document = set.tag
	return loaded{data: set.content, lifetime: set.lifetime, validators: found}, err
}

func (d discovery) keysURL(configuration []byte) (string, error) {
	members, ok := readObject(configuration)
	if !ok {
		return "", errors.New("read configuration: not a JSON object with each name once")
	}
	if named, _ := readString(members["issuer"]); named != d.issuer {
		return "", errors.New("read configuration: it is of another issuer")
	}
	found, _ := readString(members["jwks_uri"])
	if err := checkURL("jwks_uri", found); err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	return found, nil
}

// checkURL returns an error unless the text is an https URL to which a path can be added.
func checkURL(field, text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "https" || parsed.Host == "" || parsed.User != nil || strings.ContainsAny(text, "#") {
		return fmt.Errorf("%s is not an https URL without user and fragment", field)
	}
	return nil
}
