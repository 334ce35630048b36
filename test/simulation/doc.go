// Package simulation is a simulated world in which the operator runs: its reconcilers, webhooks, signing code and HTTPS answers
// as they are, under simulated time, before an API server in memory that behaves as a real one can. Around it are replicas that
// crash, freeze and believe that they lead, caches that lag, signers with stale rings, kubelets with delay, verifiers of every
// cache habit, clocks apart, and users who edit anything at any time.
//
// A world is made from a seed: a Plan that lists everything that will happen to it. Playing a plan twice is the same story to the
// letter, except for key material. After every change package oracle judges it by the invariants of the design. A plan that
// breaks one is shrunk to what it takes, and printed as a timeline.
package simulation
