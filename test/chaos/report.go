package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/keyturn/keyturn/test/chaos/judge"
)

// row is what came of one fault.
type row struct {
	fault string
	times int
	took  time.Duration
	judge.Count
}

type report []row

func (r report) String() string {
	var text strings.Builder
	var sum row
	line := func(of row) {
		_, _ = fmt.Fprintf(&text, "%-66s %6d %7d %14d %9d %6.0f s\n", of.fault, of.times, of.Tokens, of.Verifications, of.Failures, of.took.Seconds())
	}
	_, _ = fmt.Fprintf(&text, "%-66s %6s %7s %14s %9s %8s\n", "fault", "times", "tokens", "verifications", "failures", "took")
	for _, of := range r {
		line(of)
		sum.times += of.times
		sum.took += of.took
		sum.Tokens += of.Tokens
		sum.Verifications += of.Verifications
		sum.Failures += of.Failures
	}
	sum.fault = "all"
	line(sum)
	return text.String()
}

// failed says whether anything went wrong. A fault that did not take place, or under which nothing was judged, shows nothing.
func (r report) failed() bool {
	for _, of := range r {
		if of.times == 0 || of.Verifications == 0 || of.Failures > 0 {
			return true
		}
	}
	return len(r) == 0
}
