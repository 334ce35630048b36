package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"time"
)

// KeySource says where an issuer's keys are: [File], [URL], [Discovery], [Func], or one of these that is [Shared].
type KeySource interface {
	// open checks the source for an issuer and makes what reads it.
	open(issuer string, clock func() time.Time) (source[keySet], error)
}

// source has what a document says, a key set or a deny list, at every instant.
type source[T any] interface {
	// current returns what to judge by now.
	current(ctx context.Context) (snapshot[T], error)
	// newer returns what may have in it what that of a version lacks.
	newer(ctx context.Context, seen version) (snapshot[T], error)
}

func newKeeper(load loader, timing timing, clock func() time.Time) source[keySet] {
	return &keeper[keySet]{load: load, parse: parseKeySet, timing: timing, clock: clock, absent: ErrKeysUnavailable}
}

// loader gets a document once. known is what the last load that succeeded returned, empty if there was none.
type loader func(ctx context.Context, known validators) (loaded, error)

// validators are the entity tags by which a server tells that nothing has changed (RFC 9110 section 8.8.3).
type validators struct {
	configuration string // of the issuer's configuration, if that was asked for
	keysURL       string // where the keys are
	document      string // of the document there, or of the one that was asked for at once
}

// loaded is what a load found. data is nil if nothing has changed.
type loaded struct {
	data       []byte
	lifetime   time.Duration // for how long it is good, or unspecified
	validators validators
}

// timing bounds how often a source is asked, and for how long its answers are used.
type timing struct {
	atLeast  time.Duration // between two loads, and the shortest lifetime
	atMost   time.Duration // the longest lifetime, and the one of an answer that does not say
	maxStale time.Duration // after the lifetime, while loads fail
}

const (
	fileInterval    = time.Second
	fetchInterval   = 10 * time.Second
	defaultCache    = time.Hour
	defaultMaxStale = time.Hour
	longest         = 24 * time.Hour
)

// File reads the keys from a JWK Set in a file: jwks.json of the ConfigMap that Keyturn keeps, mounted as a folder. With
// subPath a pod never sees another key. As [Issuer].DenyList it reads revocations.json in the same way.
//
// The file is read when a token is verified, at most once in a second, so a change counts from the next second on, however it
// is made.
type File struct {
	// Path is the file.
	Path string
	// MaxStale is for how long what was read last is used while the file cannot be read, or is not what it shall be: up to
	// 24 hours. 0 means 1 hour; less than 0 means not at all.
	MaxStale time.Duration
}

func (f File) open(_ string, clock func() time.Time) (source[keySet], error) {
	load, timing, err := f.loader(maxKeySetBytes)
	return newKeeper(load, timing, clock), err
}

func (f File) loader(limit int64) (loader, timing, error) {
	maxStale, err := staleness(f.MaxStale)
	load := func(context.Context, validators) (loaded, error) {
		data, err := readFile(f.Path, limit)
		return loaded{data: data}, err
	}
	return load, timing{atLeast: fileInterval, atMost: fileInterval, maxStale: maxStale},
		errors.Join(err, require(f.Path != "", "Path is empty"))
}

func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // The application says which file.
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer file.Close() //nolint:errcheck // It was only read.
	return readLimited(file, limit)
}

// version tells documents of one source apart: the hash of the text.
type version [sha256.Size]byte

// snapshot is what a source has at an instant.
type snapshot[T any] struct {
	value   T
	version version
	doubt   error // why the last load failed; nil if it did not
}

func staleness(given time.Duration) (time.Duration, error) {
	switch {
	case given == 0:
		return defaultMaxStale, nil
	case given < 0:
		return 0, nil
	default:
		return given, require(given <= longest, fmt.Sprintf("MaxStale is %v, use at most %v", given, longest))
	}
}

// require returns an error with the text unless what is required holds.
func require(holds bool, otherwise string) error {
	if holds {
		return nil
	}
	return errors.New(otherwise)
}
