package process

import (
	"errors"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	fields := func(state string) string {
		return state + strings.Repeat(" 1", 18) + " 4711 2 3\n"
	}
	for name, test := range map[string]struct {
		stat string
		want string
		gone bool
	}{
		"a running process":                         {stat: "1 (etcd) " + fields("S"), want: "4711"},
		"a name with spaces and parentheses":        {stat: "1 (a) R 9 (b) " + fields("R"), want: "4711"},
		"a process that only waits to be reaped":    {stat: "1 (etcd) " + fields("Z"), gone: true},
		"a process that is vanishing at the moment": {stat: "1 (etcd) " + fields("X"), gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat([]byte(test.stat))
			if got != test.want || errors.Is(err, ErrGone) != test.gone {
				t.Errorf("parseStat = %q, %v; want %q, gone %v", got, err, test.want, test.gone)
			}
		})
	}
	if _, err := parseStat([]byte("nonsense")); err == nil {
		t.Error("nonsense was accepted")
	}
}
