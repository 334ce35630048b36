// Package oracle judges a simulated world by the ten invariants of Keyturn. It knows only what the world can observe: objects as
// the API server stores them, tokens with the instant at which they were issued, key sets that were read back, and what was
// logged. It shares no arithmetic with the engine: where that computes how long a key must stay, this asks who could still
// present a token, and which set somebody could still judge it by.
//
// Verifiers are not sampled here. For each place in which a key set is published the oracle keeps every set that an honest
// verifier could hold at this instant: one that fetched it at the last moment at which it could be had, and keeps it as long as
// it was allowed to. So whatever the declared habits allow to happen does happen in every run.
//
// What no operator could do better is no violation. Each such case is one function in excuse.go that says why.
package oracle
