package main

import "context"

// scenario measures something and returns its rows.
type scenario struct {
	// name is what -only selects.
	name string
	// about says what is measured, for whoever waits.
	about string
	// controlPlane says that it needs a new etcd and kube-apiserver: World.Plane is set then.
	controlPlane bool
	run          func(context.Context, *World) ([]Row, error)
}

// scenarios are all of them, in the order of the table.
func scenarios() []scenario {
	return []scenario{
		{name: "issue-1000", about: "issue 1,000 new ServiceTokens", controlPlane: true, run: issue1000},
		{name: "life-10000", about: "issue, restart with, renew, revoke and rotate 10,000 ServiceTokens", controlPlane: true, run: life10000},
		{name: "copies-1000", about: "rotate a key whose JWKS 1,000 namespaces receive", controlPlane: true, run: copies},
		{name: "grow-50000", about: "memory with 1,000, 10,000 and 50,000 ServiceTokens, and what an idle operator does", controlPlane: true, run: grow},
		{name: "foreign-50000", about: "memory beside 50,000 foreign Secrets and ConfigMaps", controlPlane: true, run: foreign},
		{name: "signing", about: "sign and verify in Keyturn's own packages", run: signing},
		{name: "serving", about: "answer by HTTPS: JWKS, token endpoint, introspection", controlPlane: true, run: serving},
		{name: "gate", about: "decide about requests", controlPlane: true, run: deciding},
		{name: "admission", about: "admit objects", controlPlane: true, run: admission},
	}
}
