// Package freshness knows how old a replica's view of the cluster can be.
//
// A cache that hears nothing looks like a cache to which nothing happens. So every watch is asked for anew after a while, also
// on a settled cluster, and the instant at which a request was sent that the API server then answered is remembered for each
// cache. Nothing else counts: what arrives on a stream tells nothing about when it was sent, because it may have waited in
// this machine's buffers while the process was stopped. See docs/decisions/0019-a-view-is-as-old-as-its-last-answer.md.
package freshness
