package main

import (
	"context"
	"errors"
)

// serving measures the HTTPS server: JWKS, the token endpoint, introspection and the gate.
func serving(ctx context.Context, w *World) (rows []Row, err error) {
	s, stop, err := w.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, measure := range []func(context.Context) ([]Row, error){s.documents, s.endpoint, s.gateWarm, s.gateCold, s.introspection} {
		more, err := measure(ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// path is that of something of the SigningKey.
func path(of string) string { return "/" + ours + "/" + keyName + "/" + of }

func (s *served) documents(ctx context.Context) ([]Row, error) {
	r, err := s.race(ctx, s.load("JWKS", plainRequest("GET", path("jwks.json"), "")),
		s.yardstick.load("static document", plainRequest("GET", "/jwks.json", "")))
	rate, cpu := r.rows("JWKS endpoint", "requests", "handler with the document in memory")
	return []Row{rate, cpu}, err
}

const formType = "Content-Type: application/x-www-form-urlencoded"

func (s *served) endpoint(ctx context.Context) ([]Row, error) {
	request := func(at string) []byte {
		return plainRequest("POST", at, "grant_type=client_credentials&audience="+audience, formType, s.basic)
	}
	r, err := s.race(ctx, s.load("token endpoint", request(path("token"))), s.yardstick.load("handler that signs", request("/token")))
	rate, cpu := r.rows("token endpoint, client_credentials, ES256", "tokens", "handler that signs in plain crypto")
	return []Row{rate.ratioAtLeast(0.63), cpu}, err
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

func (s *served) gateWarm(ctx context.Context) ([]Row, error) {
	tokens, err := s.tokens(fewCallers)
	if err != nil {
		return nil, err
	}
	r, err := s.race(ctx, s.load("warm gate", gateRequests("/verify/"+ours+"/"+policyName, tokens)...),
		s.yardstick.load("empty handler", gateRequests("/empty", tokens)...))
	rate, cpu := r.rows("gate, token remembered", "verifications", "empty handler behind the same server")
	return []Row{rate.ratioAtLeast(0.7), cpu}, err
}

func (s *served) gateCold(ctx context.Context) ([]Row, error) {
	tokens, err := s.tokens(manyCallers)
	if err != nil {
		return nil, err
	}
	r, err := s.race(ctx, s.load("cold gate", gateRequests("/verify/"+ours+"/"+policyName, tokens)...),
		s.yardstick.load("handler that verifies", gateRequests("/verify", tokens)...))
	rate, cpu := r.rows("gate, token new", "verifications", "handler that verifies ES256 in plain crypto")
	return []Row{rate.ratioAtLeast(0.9), cpu}, err
}

func (s *served) introspection(ctx context.Context) ([]Row, error) {
	tokens, err := s.tokens(fewCallers)
	if err != nil {
		return nil, err
	}
	var requests [][]byte
	for _, token := range tokens {
		requests = append(requests, plainRequest("POST", path("introspect"), "token="+token, formType, s.basic))
	}
	r, err := s.race(ctx, s.load("introspection", requests...), s.yardstick.load("handler that verifies", gateRequests("/verify", tokens)...))
	rate, cpu := r.rows("introspection", "answers", "handler that verifies ES256 in plain crypto")
	return []Row{rate, cpu}, err
}
