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
	}
}
