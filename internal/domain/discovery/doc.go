// Package discovery says what an issuer tells its verifiers about itself, where, and for how long they may keep it.
package discovery
