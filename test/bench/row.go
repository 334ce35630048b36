package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
)

// Row is one figure.
type Row struct {
	// Scenario is the name of what measured it.
	Scenario string `json:"scenario"`
	// Size is how much was measured: full, quick or tiny.
	Size  Size    `json:"size"`
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Unit is the value's, as in "tokens/s"; empty for a plain count.
	Unit string `json:"unit,omitempty"`
	// ComparedWith says what the same run measured beside it; empty for a count.
	ComparedWith string `json:"comparedWith,omitempty"`
	// Ratio is the value divided by that; zero where there is nothing to compare.
	Ratio float64 `json:"ratio,omitempty"`
	// Budget is what is asked of the figure, as in ">= 0.8 of the floor"; empty if nothing is.
	Budget string `json:"budget,omitempty"`
	// Met says whether the budget is kept; nil if there is none.
	Met *bool `json:"met,omitempty"`
}

// figure is a value that stands for itself.
func figure(name string, value float64, unit string) Row {
	return Row{Name: name, Value: value, Unit: unit}
}

// against compares a row with what the same run measured.
func (r Row) against(what string, measured float64) Row {
	r.ComparedWith = fmt.Sprintf("%s: %s %s", what, number(measured), r.Unit)
	if measured != 0 {
		r.Ratio = r.Value / measured
	}
	return r
}

// ratioAtLeast sets a budget on the ratio.
func (r Row) ratioAtLeast(least float64) Row {
	return r.budget(fmt.Sprintf("ratio >= %s", number(least)), r.Ratio >= least)
}

// ratioAtMost sets a budget on the ratio.
func (r Row) ratioAtMost(most float64) Row {
	return r.budget(fmt.Sprintf("ratio <= %s", number(most)), r.Ratio <= most)
}

// atMost sets a budget on the value.
func (r Row) atMost(most float64) Row {
	return r.budget(fmt.Sprintf("<= %s %s", number(most), r.Unit), r.Value <= most)
}

// exactly sets a budget on the value.
func (r Row) exactly(wanted float64) Row {
	return r.budget(fmt.Sprintf("= %s %s", number(wanted), r.Unit), r.Value == wanted)
}

func (r Row) budget(words string, met bool) Row {
	r.Budget, r.Met = words, &met
	return r
}

// number has three digits that count.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func (r Row) cells() []any {
	ratio, met := "", ""
	if r.ComparedWith != "" {
		ratio = fmt.Sprintf("%.2f", r.Ratio)
	}
	if r.Met != nil {
		met = "missed"
		if *r.Met {
			met = "kept"
		}
	}
	return []any{r.Name, number(r.Value), r.Unit, ratio, r.ComparedWith, r.Budget, met}
}

// printTable writes the rows for people.
func printTable(out io.Writer, rows []Row) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, err := fmt.Fprintln(table, "figure\tvalue\tunit\tratio\tcompared with\tbudget\t")
	for _, row := range rows {
		_, rowErr := fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.cells()...)
		err = errors.Join(err, rowErr)
	}
	return errors.Join(err, table.Flush())
}
