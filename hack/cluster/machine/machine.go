// Package machine makes the machine that a cluster runs on: namespaces for processes, mounts and network, and what the
// programs in them see. All of it hangs on one process, so that nothing can be left when that has ended, in whatever way.
package machine

import "maps"

// What a machine sees of the host.
const (
	// Folder is where the programs of the machine find its folder.
	Folder = "/run/cluster"
)

// What is in the machine's folder.
const (
	// Ready is a file that appears once the machine can run programs.
	Ready = "ready"
	// Resolver is the file that the machine has as /etc/resolv.conf.
	Resolver = "resolv.conf"
	// Data is the folder that the machine has as /var/lib.
	Data = "lib"
	// Logs is the folder that the machine has as /var/log.
	Logs = "log"
)

// View is what a machine sees instead of the host's files. So its paths are short enough for sockets wherever the
// folders lie, and what its programs keep in well-known places is not in those of the host. It has a /run of its own, too.
type View struct {
	// Host is the machine's folder on the host.
	Host string
	// Others are folders of the host, by the path at which the machine sees them.
	Others map[string]string
}

func (v View) folders() map[string]string {
	folders := maps.Clone(v.Others)
	folders[Folder] = v.Host
	return folders
}
