package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// unspecified is the lifetime of an answer that does not say for how long it is good.
const unspecified = -1

const maxCABytes = 1 << 20

// fetcher gets JSON documents by HTTPS. One load runs at a time, so it needs no lock.
type fetcher struct {
	Fetch
	ca     []byte // what client believes
	client *http.Client
}

// document is an answer: content is nil if the server says that it is as the entity tag says.
type document struct {
	content  []byte
	tag      string
	lifetime time.Duration
}

// get fetches a document of at most so many bytes. It follows no redirect: where a document is, the configuration says.
func (f *fetcher) get(ctx context.Context, url, tag string, limit int64) (document, error) {
	client, err := f.trusting()
	if err != nil {
		return document{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return document{}, fmt.Errorf("fetch document: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	if tag != "" {
		request.Header.Set("If-None-Match", tag)
	}
	response, err := client.Do(request)
	if err != nil {
		return document{}, fmt.Errorf("fetch document: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // It was only read.
	read := document{tag: response.Header.Get("ETag"), lifetime: lifetime(response.Header)}
	switch {
	case response.StatusCode == http.StatusNotModified && tag != "":
		read.tag = tag
		return read, nil
	case response.StatusCode != http.StatusOK:
		return document{}, fmt.Errorf("fetch document: %s answers with status %d", url, response.StatusCode)
	}
	read.content, err = readLimited(response.Body, limit)
	return read, err
}

// trusting returns a client that believes the CA that is given, or in the file now, or those of the system if there is none.
func (f *fetcher) trusting() (*http.Client, error) {
	ca := f.CA
	if f.CAFile != "" {
		var err error
		if ca, err = readFile(f.CAFile, maxCABytes); err != nil {
			return nil, err
		}
	}
	var roots *x509.CertPool
	if ca != nil {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("read CA: no certificate in PEM is in %s", cmp.Or(f.CAFile, "CA"))
		}
	}
	if f.client != nil && bytes.Equal(ca, f.ca) {
		return f.client, nil
	}
	if f.client != nil {
		f.client.CloseIdleConnections()
	}
	f.ca, f.client = ca, f.newClient(roots)
	return f.client, nil
}

func (f *fetcher) newClient(roots *x509.CertPool) *http.Client {
	transport := f.transport
	if transport == nil {
		transport = newTransport(roots)
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: refuse, Timeout: loadTimeout}
}

func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxKeySetBytes,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        time.Minute,
	}
}

// readLimited reads all, and fails if there is more than the limit.
func readLimited(from io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read document: longer than %d bytes", limit)
	}
	return data, nil
}

// lifetime reads for how long an answer is good (RFC 9111 sections 4.2 and 5.2.2): max-age, less the time that it has been
// in a cache on its way. no-store, no-cache and what cannot be read mean 0.
func lifetime(header http.Header) time.Duration {
	found := time.Duration(unspecified)
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if found != unspecified {
				return 0 // Two of them are no answer.
			}
			found = max(seconds(value)-seconds(header.Get("Age")), 0)
		}
	}
	return found
}

// seconds reads delta-seconds (RFC 9111 section 1.2.2): 0 for what is none, and at most what matters here.
func seconds(text string) time.Duration {
	count, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(count, uint64(2*longest/time.Second))) * time.Second
}
