package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// raced are the medians of several rounds, in each of which both were asked, one after the other: what else the machine does slows
// both down alike.
type raced struct {
	rate, otherRate float64
	cpu, otherCPU   float64
	// ratio is the median of the ratios of the rates, and cpuRatio of those of the CPU time.
	ratio, cpuRatio float64
}

// race lets two servers answer in turn.
func (w *World) race(ctx context.Context, one, other *load) (raced, error) {
	var rates, otherRates, cpus, otherCPUs, ratios, cpuRatios []float64
	long := time.Duration(w.Size.Of(2000, 700, 50)) * time.Millisecond
	for _, warm := range []*load{one, other} {
		if _, err := w.press(ctx, warm, long); err != nil {
			return raced{}, err
		}
	}
	for range w.Size.Of(15, 7, 1) {
		a, err := w.press(ctx, one, long)
		if err != nil {
			return raced{}, err
		}
		b, err := w.press(ctx, other, long)
		if err != nil {
			return raced{}, err
		}
		rates, otherRates = append(rates, a.perSecond()), append(otherRates, b.perSecond())
		cpus, otherCPUs = append(cpus, a.cpuEach()), append(otherCPUs, b.cpuEach())
		ratios, cpuRatios = append(ratios, a.perSecond()/b.perSecond()), append(cpuRatios, a.cpuEach()/b.cpuEach())
	}
	r := raced{
		rate: median(rates), otherRate: median(otherRates), cpu: median(cpus), otherCPU: median(otherCPUs),
		ratio: median(ratios), cpuRatio: median(cpuRatios),
	}
	w.Say("%s %.0f/s, %s %.0f/s, ratio %.2f", one.name, r.rate, other.name, r.otherRate, r.ratio)
	return r, nil
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// rows tell of a race: answers in a second, and the CPU time of the process for each.
func (r raced) rows(name, unit, against string) (rate, cpu Row) {
	rate = figure(name, r.rate, unit+"/s").against(against, r.otherRate)
	cpu = figure(name+", CPU of the server", r.cpu, "µs").against(against, r.otherCPU)
	rate.Ratio, cpu.Ratio = r.ratio, r.cpuRatio
	return rate, cpu
}

// String is for whoever waits.
func (o outcome) String() string { return fmt.Sprintf("%.0f/s", o.perSecond()) }
