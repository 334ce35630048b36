package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/mod/module"
)

// database is where vulnerabilities are told.
type database struct{ url, about string }

// choose takes the database at a URL or, if it cannot be reached, that of the Go module.
func choose(ctx context.Context, online string) (database, error) {
	of, unreachable := modified(ctx, online)
	if unreachable == nil {
		return database{url: online, about: online + " of " + of}, nil
	}
	found, err := fromModule(ctx)
	if err != nil {
		return database{}, errors.Join(unreachable, err)
	}
	found.about += fmt.Sprintf(" (%v)", unreachable)
	return found, nil
}

// modified is when the database at a URL last changed.
func modified(ctx context.Context, online string) (string, error) {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, online+"/index/db.json", http.NoBody)
	if err != nil {
		return "", fmt.Errorf("reach the database: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("reach the database: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var index struct {
		Modified string `json:"modified"`
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("reach the database: %s answers %s", request.URL, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&index); err != nil {
		return "", fmt.Errorf("read %s: %w", request.URL, err)
	}
	return index.Modified, nil
}

// vulndb is the module in which the Go project writes down vulnerabilities before they are in the database.
const vulndb = "golang.org/x/vulndb"

func fromModule(ctx context.Context) (database, error) {
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", vulndb+"@latest")
	download.Dir = os.TempDir()
	output, err := download.Output()
	var got struct {
		Version string `json:"Version"`
		Dir     string `json:"Dir"`
		Error   string `json:"Error"`
	}
	if decodeErr := json.NewDecoder(bytes.NewReader(output)).Decode(&got); decodeErr != nil || got.Error != "" {
		return database{}, fmt.Errorf("download %s: %w: %s", vulndb, errors.Join(err, decodeErr), got.Error)
	}
	folder := filepath.Join(got.Dir, "data", "osv")
	entries, err := filepath.Glob(filepath.Join(folder, "GO-*.json"))
	if err != nil || len(entries) == 0 {
		return database{}, fmt.Errorf("%s@%s has no vulnerabilities in data/osv", vulndb, got.Version)
	}
	since, err := module.PseudoVersionTime(got.Version)
	if err != nil {
		return database{}, fmt.Errorf("read the version of %s: %w", vulndb, err)
	}
	return database{
		url:   (&url.URL{Scheme: "file", Path: filepath.ToSlash(folder)}).String(),
		about: fmt.Sprintf("module %s@%s, %d vulnerabilities, of those after %s none", vulndb, got.Version, len(entries), since.Format(time.DateOnly)),
	}, nil
}
