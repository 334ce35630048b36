package main

import "context"

func issue1000(ctx context.Context, w *World) ([]Row, error) {
	operator, err := w.StartOperator(ctx)
	if err != nil {
		return nil, err
	}
	used, err := operator.Usage()
	if err != nil {
		return nil, err
	}
	return []Row{figure("RSS of an operator without work", float64(used.RSS)/(1<<20), "MiB").atMost(150)}, operator.Stop(ctx)
}
