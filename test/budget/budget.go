// Package budget measures what code costs that others may make costly.
package budget

import "runtime"

// Bytes is how many bytes do allocates, whether or not they are freed again. Nothing else may run meanwhile: what allocates there
// counts too.
func Bytes(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
