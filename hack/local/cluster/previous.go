package cluster

import (
	"context"
	"io"
	"os"

	"github.com/keyturn/keyturn/hack/local/process"
)

// lookUp finds the process of a component. A record that cannot be read was never finished, and a process runs only when
// its record is.
func lookUp(ctx context.Context, l layout, name string) (identity process.Identity, alive bool, err error) {
	identity, err = process.ReadFile(l.identity(name))
	if err != nil {
		return process.Identity{}, false, nil //nolint:nilerr // See above: no readable record, no process.
	}
	alive, err = identity.Alive(ctx)
	return identity, alive, err
}

// previous is what an earlier run of the launcher left.
type previous struct {
	state state
	alive map[string]process.Identity
	found bool
}

func inspect(ctx context.Context, l layout) (previous, error) {
	described, err := readState(l.state())
	if err != nil {
		return previous{}, err
	}
	found := previous{state: described, alive: map[string]process.Identity{}}
	for _, name := range stopOrder() {
		identity, alive, err := lookUp(ctx, l, name)
		if err != nil {
			return previous{}, err
		}
		if alive {
			found.alive[name] = identity
		}
	}
	_, err = os.Lstat(l.identities())
	found.found = err == nil
	return found, nil
}

// running tells whether a cluster came up and all of it still runs.
func (p previous) running() bool {
	for _, name := range p.state.Components {
		if _, alive := p.alive[name]; !alive {
			return false
		}
	}
	return len(p.state.Components) > 0
}

// clear makes room for a new cluster.
func (p previous) clear(ctx context.Context, l layout, out io.Writer) error {
	if p.found {
		say(out, "Clearing what an earlier cluster left behind.")
	}
	if _, err := stopAll(ctx, l); err != nil {
		return err
	}
	return l.clear()
}
