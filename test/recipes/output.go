package recipes

import (
	"regexp"
	"strings"
)

// anything stands in expected output for what differs from run to run: within a line for any characters, alone in a line for
// any number of lines.
const anything = "…"

// Match says whether commands printed what a page expects. Blank space at the end of either does not count.
func Match(expected, printed string) bool {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for line := range strings.Lines(strings.TrimSpace(expected) + "\n") {
		line = strings.TrimSuffix(line, "\n")
		if line == anything {
			pattern.WriteString(`(?:.*\n)*`)
			continue
		}
		for i, literal := range strings.Split(line, anything) {
			if i > 0 {
				pattern.WriteString(`.*`)
			}
			pattern.WriteString(regexp.QuoteMeta(literal))
		}
		pattern.WriteString(`\n`)
	}
	pattern.WriteString(`\z`)
	return regexp.MustCompile(pattern.String()).MatchString(strings.TrimSpace(printed) + "\n")
}
