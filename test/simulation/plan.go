package simulation

import "time"

// Plan is everything that is decided about a world before it begins: what is in it, and what will happen to it. It can be written
// as JSON, so that what a seed has found stays when seeds come to mean something else.
type Plan struct {
	// Sentence says what the plan shows, where it is kept.
	Sentence string `json:"sentence,omitempty"`
	// Seed decides delays and everything else that is drawn while the world goes on.
	Seed uint64 `json:"seed"`
	// Days is how long the world lasts, before it is healed and must settle.
	Days float64 `json:"days"`
	// Replicas is how many replicas of the operator there are.
	Replicas int `json:"replicas"`
	// Skew is how far clocks are apart, Propagation how long a mounted object takes at most, Staleness the operator's flag.
	Skew        Span `json:"skew"`
	Propagation Span `json:"propagation"`
	Staleness   Span `json:"staleness"`
	// Clocks are how far each replica's clock is ahead of the slowest, in thousandths of Skew.
	Clocks []int `json:"clocks"`

	Keys      []KeyPlan      `json:"keys"`
	Tokens    []TokenPlan    `json:"tokens,omitempty"`
	Verifiers []VerifierPlan `json:"verifiers,omitempty"`
	Signers   []SignerPlan   `json:"signers,omitempty"`
	Acts      []Act          `json:"acts,omitempty"`
}

// Span is a duration that JSON writes as Go does.
type Span time.Duration

// MarshalText writes a duration as Go does.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads that.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

func (s Span) String() string { return time.Duration(s).String() }

// KeyPlan is a SigningKey as it is created.
type KeyPlan struct {
	Name      string `json:"name"` // namespace/name
	Algorithm string `json:"algorithm"`
	Period    Span   `json:"period"`
	Cache     Span   `json:"cache"`
	Longest   Span   `json:"longest"`
	// Extra is what the declared skew and propagation are longer than the real ones.
	Extra Span `json:"extra,omitempty"`
	// Copies selects namespaces with the label copy=yes, Everyone allows ServiceTokens of all namespaces.
	Copies   bool `json:"copies,omitempty"`
	Everyone bool `json:"everyone,omitempty"`
	// Served says that the issuer is made of the operator's external URL.
	Served bool `json:"served,omitempty"`
}

// TokenPlan is a ServiceToken as it is created.
type TokenPlan struct {
	Name     string `json:"name"` // namespace/name
	Key      string `json:"key"`  // namespace/name
	Duration Span   `json:"duration"`
	Access   bool   `json:"access,omitempty"`
}

// VerifierPlan is somebody who judges tokens of a key.
type VerifierPlan struct {
	Key string `json:"key"`
	// From is a namespace, whose copy is mounted, or https.
	From string `json:"from"`
	// Keep is how long it keeps a set; zero as long as the key declares.
	Keep Span `json:"keep,omitempty"`
	// Heeds max-age, Refetches on an unknown key, Remembers every key it has ever seen and asks a deny list.
	Heeds     bool `json:"heeds,omitempty"`
	Refetches bool `json:"refetches,omitempty"`
	Remembers bool `json:"remembers,omitempty"`
	Every     Span `json:"every"`
	Clock     int  `json:"clock"`
}

// SignerPlan is somebody who signs tokens of a key: an application that mounts the private half, or a token server in a replica.
type SignerPlan struct {
	Key   string `json:"key"`
	Every Span   `json:"every"`
	Clock int    `json:"clock"`
	// Mounts says that it is an application; otherwise every replica signs.
	Mounts bool `json:"mounts,omitempty"`
}

// Act is something that happens to the world.
type Act struct {
	At Span   `json:"at"`
	Do string `json:"do"`
	// On names an object as namespace/name, or a namespace.
	On string `json:"on,omitempty"`
	// Replica is which replica is meant; -1 for all, and -2 for the one that leads.
	Replica int  `json:"replica,omitempty"`
	N       int  `json:"n,omitempty"`
	For     Span `json:"for,omitempty"`
}
