package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// roundTime is how long either is asked before it is the other's turn: what else the machine does lasts longer, mostly, and slows both
// down alike.
const roundTime = 200 * time.Millisecond

// raced is how two servers did that answered in turn.
type raced struct {
	// rate and other are the medians of the rounds, in answers per second, and ratio is that of the rounds' ratios.
	rate, other, ratio float64
	// cpu and otherCPU are the CPU time of the process for each answer, in microseconds, of all rounds together.
	cpu, otherCPU float64
}

// race lets two servers answer in turn.
func (w *World) race(ctx context.Context, one, other *load) (raced, error) {
	defer one.close()
	defer other.close()
	if err := errors.Join(one.open(ctx), other.open(ctx)); err != nil {
		return raced{}, err
	}
	rounds := w.Size.Of(100, 30, 1)
	for _, warm := range []*load{one, other} {
		if _, err := w.press(ctx, warm, time.Duration(rounds)*roundTime/10); err != nil {
			return raced{}, err
		}
	}
	var rates, others, ratios []float64
	var sum, otherSum outcome
	for range rounds {
		a, err := w.press(ctx, one, roundTime)
		if err != nil {
			return raced{}, err
		}
		b, err := w.press(ctx, other, roundTime)
		if err != nil {
			return raced{}, err
		}
		sum, otherSum = sum.plus(a), otherSum.plus(b)
		rates, others, ratios = append(rates, a.perSecond()), append(others, b.perSecond()), append(ratios, a.perSecond()/b.perSecond())
	}
	r := raced{
		rate: median(rates), other: median(others), ratio: median(ratios), cpu: sum.cpuEach(), otherCPU: otherSum.cpuEach(),
	}
	w.Say("%s %.0f/s, %s %.0f/s, ratio %.2f", one.name, r.rate, other.name, r.other, r.ratio)
	return r, nil
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// rows tell of a race: answers in a second, and the CPU time of the process for each.
func (r raced) rows(name, unit, against string) (rate, cpu Row) {
	rate = figure(name, r.rate, unit+"/s").against(against, r.other)
	rate.Ratio = r.ratio
	cpu = figure(name+", CPU of the server", r.cpu, "µs").against(against, r.otherCPU)
	return rate, cpu
}
