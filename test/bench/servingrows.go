package main

import (
	"context"
	"errors"
)

// serving measures what the HTTPS server answers clients and verifiers.
func serving(ctx context.Context, w *World) ([]Row, error) {
	return w.answering(ctx, (*served).documents, (*served).endpoint, (*served).introspection)
}

// deciding measures the gate.
func deciding(ctx context.Context, w *World) ([]Row, error) {
	return w.answering(ctx, (*served).gateWarm, (*served).gateRules, (*served).gateCold)
}

func (w *World) answering(ctx context.Context, measures ...func(*served, context.Context) ([]Row, error)) (rows []Row, err error) {
	s, stop, err := w.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, measure := range measures {
		more, err := measure(s, ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// path is that of something of the SigningKey.
func path(of string) string { return "/" + ours + "/" + keyName + "/" + of }

// budgeted asks for a share of another handler's rate, and for the CPU time that such a server takes at most. Where others use the machine,
// the rates tell of them too, and the CPU time decides.
func budgeted(rate, cpu Row, least float64) []Row {
	return []Row{rate.ratioAtLeast(least), cpu.ratioAtMost(1 / least)}
}

func (s *served) documents(ctx context.Context) ([]Row, error) {
	r, err := s.race(ctx, s.load("JWKS", plainRequest("GET", path("jwks.json"), "")),
		s.yardstick.load("static document", plainRequest("GET", "/jwks.json", "")))
	rate, cpu := r.rows("JWKS endpoint", "requests", "handler with the document in memory")
	return []Row{rate, cpu}, err
}

const formType = "Content-Type: application/x-www-form-urlencoded"

func (s *served) endpoint(ctx context.Context) ([]Row, error) {
	plain, err := s.grant(ctx, clientName)
	if err != nil {
		return nil, err
	}
	computed, err := s.grant(ctx, computingName)
	const what, against = "token endpoint, client_credentials, ES256", "handler that signs in plain crypto"
	rate, cpu := plain.rows(what, "tokens", against)
	computedRate, computedCPU := computed.rows(what+", a claim by an expression", "tokens", against)
	return append(budgeted(rate, cpu, 0.63), computedRate, computedCPU), err
}

// grant races the token endpoint against a handler that signs.
func (s *served) grant(ctx context.Context, name string) (raced, error) {
	request := func(at string) []byte {
		return plainRequest("POST", at, "grant_type=client_credentials&audience="+audience, formType, s.basic[name])
	}
	return s.race(ctx, s.load("token endpoint for "+name, request(path("token"))), s.yardstick.load("handler that signs", request("/token")))
}

// gateRequests are those of a proxy that asks about GET /orders with each of the tokens in turn.
func gateRequests(at string, tokens []string) [][]byte {
	requests := make([][]byte, 0, len(tokens))
	for _, token := range tokens {
		requests = append(requests, plainRequest("GET", at, "", "Authorization: Bearer "+token,
			"X-Forwarded-Method: GET", "X-Forwarded-Host: api.example", "X-Forwarded-Uri: /orders?limit=10"))
	}
	return requests
}

// A hundred callers are remembered; of eight times as many as are remembered by default hardly any is.
const (
	fewCallers  = 100
	manyCallers = 8000
)

// decide races a policy against another handler, with as many callers.
func (s *served) decide(ctx context.Context, policy string, callers int, against string) (raced, error) {
	tokens, err := s.tokens(callers)
	if err != nil {
		return raced{}, err
	}
	return s.race(ctx, s.load("gate "+policy, gateRequests("/verify/"+ours+"/"+policy, tokens)...),
		s.yardstick.load("handler "+against, gateRequests(against, tokens)...))
}

const emptyHandler = "empty handler behind the same server"

func (s *served) gateWarm(ctx context.Context) ([]Row, error) {
	r, err := s.decide(ctx, policyName, fewCallers, "/empty")
	rate, cpu := r.rows("gate, token remembered", "verifications", emptyHandler)
	return budgeted(rate, cpu, 0.7), err
}

func (s *served) gateRules(ctx context.Context) ([]Row, error) {
	r, err := s.decide(ctx, rulesName, fewCallers, "/empty")
	rate, cpu := r.rows("gate, token remembered, a rule and two headers", "verifications", emptyHandler)
	return budgeted(rate, cpu, 0.7), err
}

func (s *served) gateCold(ctx context.Context) ([]Row, error) {
	r, err := s.decide(ctx, policyName, manyCallers, "/verify")
	rate, cpu := r.rows("gate, token new", "verifications", "handler that verifies ES256 in plain crypto")
	return budgeted(rate, cpu, 0.9), err
}

func (s *served) introspection(ctx context.Context) ([]Row, error) {
	tokens, err := s.tokens(fewCallers)
	if err != nil {
		return nil, err
	}
	var requests [][]byte
	for _, token := range tokens {
		requests = append(requests, plainRequest("POST", path("introspect"), "token="+token, formType, s.basic[clientName]))
	}
	const what, against = "introspection", "handler that verifies ES256 in plain crypto"
	asks, verifies := s.load(what, requests...), s.yardstick.load("handler that verifies", gateRequests("/verify", tokens)...)
	r, err := s.race(ctx, asks, verifies)
	if err != nil {
		return nil, err
	}
	rate, cpu := r.rows(what, "answers", against)
	times, err := s.latency(ctx, what, against, asks, verifies)
	return append([]Row{rate, cpu}, times...), err
}
