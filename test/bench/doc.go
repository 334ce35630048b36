// Command bench measures Keyturn against what the same machine can do at best, in the same run: each figure is a count, or comes
// with one of a bare program that does the same work. It is what `make bench` calls; docs/performance.md has what it printed.
//
// A scenario is a file with a function that returns rows; scenarios.go lists them in order. Before each one that needs it a new
// control plane is started. The operator runs as a process of its own, so that its CPU time and memory are its own too.
package main
