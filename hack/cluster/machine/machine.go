// Package machine makes the machine that a cluster runs on: namespaces for processes, mounts and network, and what the
// programs in them see. They all hang on one process, so that nothing can be left of them when it has ended.
package machine

// What a machine sees of the host, and the names of files in its folder.
const (
	// Folder is where the programs of the machine find its folder.
	Folder = "/run/cluster"
	// Ready is a file that is there once the machine can run programs.
	Ready = "ready"
	// Resolver is what the machine has as /etc/resolv.conf.
	Resolver = "resolv.conf"
)
