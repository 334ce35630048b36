package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// series are metrics as a program tells them: values by name and labels, as in `up{job="x"}`.
type series map[string]float64

// parseSeries reads the text format of Prometheus, as far as it is needed here.
func parseSeries(text string) series {
	found := series{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if value, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			found[line[:at]] = value
		}
	}
	return found
}

// sum adds up the series of a name that have all these labels, each as in `verb="POST"`.
func (s series) sum(name string, labels ...string) float64 {
	total := 0.0
	for key, value := range s {
		base, rest, _ := strings.Cut(key, "{")
		if base == name && hasAll(rest, labels) {
			total += value
		}
	}
	return total
}

func hasAll(text string, labels []string) bool {
	for _, label := range labels {
		if !regexp.MustCompile(`(^|,)` + regexp.QuoteMeta(label) + `[,}]`).MatchString(text) {
			return false
		}
	}
	return true
}

// minus is how much each has grown.
func (s series) minus(before series) series {
	grown := series{}
	for key, value := range s {
		if more := value - before[key]; more != 0 {
			grown[key] = more
		}
	}
	return grown
}

// get reads what a program on this machine answers.
func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", url, response.Status, body)
	}
	return string(body), err
}
