package simulation

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"runtime/debug"
	"time"
)

// schedule is simulated time: what happens next, one thing after the other.
type schedule struct {
	now    time.Time
	events eventHeap
	count  int
}

type event struct {
	at    time.Time
	count int
	do    func()
}

// at lets something happen at an instant, or now if that has passed. What is to happen at one instant happens in the order in
// which it was asked for.
func (s *schedule) at(t time.Time, do func()) {
	if t.Before(s.now) {
		t = s.now
	}
	s.count++
	heap.Push(&s.events, event{t, s.count, do})
}

func (s *schedule) after(d time.Duration, do func()) { s.at(s.now.Add(d), do) }

// step lets the next thing happen, if it happens before the end.
func (s *schedule) step(end time.Time) bool {
	if len(s.events) == 0 || s.events[0].at.After(end) {
		s.now = end
		return false
	}
	next := heap.Pop(&s.events).(event)
	s.now = next.at
	next.do()
	return true
}

type eventHeap []event

// Len is for container/heap, and so are the others.
func (h *eventHeap) Len() int { return len(*h) }

// Less orders by time, then by who asked first.
func (h *eventHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.count, b.count)) < 0
}

// Swap changes places.
func (h *eventHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push and Pop are at the end.

func (h *eventHeap) Push(e any) { *h = append(*h, e.(event)) }

// Pop is the opposite of Push.
func (h *eventHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return last
}

// task is one thread of a process: it runs until it waits for simulated time, and only one task runs at a time.
type task struct {
	w     *world
	of    *process
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	done  bool
}

// crash is what unwinds the tasks of a process that has ended.
type crash struct{}

// spawn runs a task of a process until it waits for the first time.
func (w *world) spawn(of *process, body func()) {
	t := &task{w: w, of: of}
	t.next, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.yield = yield
		defer func() {
			t.done = true
			if reason := recover(); reason != nil && reason != (crash{}) {
				w.broken("Nothing panics", fmt.Sprintf("%v\n%s", reason, debug.Stack()))
			}
		}()
		body()
	})
	of.tasks = append(of.tasks, t)
	t.resume()
}

// resume runs the task until it waits again. While its process is frozen, it does not run.
func (t *task) resume() {
	if t.done {
		return
	}
	if t.of.frozen() {
		t.w.at(t.of.frozenUntil, t.resume)
		return
	}
	before := t.w.running
	t.w.running = t
	t.next()
	t.w.running = before
}

// sleep lets time pass for the task. It does not return if the process ends meanwhile.
func (t *task) sleep(d time.Duration) {
	t.w.after(d, t.resume)
	if !t.yield(struct{}{}) {
		panic(crash{})
	}
}

// end unwinds the tasks of a process, and the one that is running last.
func (p *process) end() {
	tasks := p.tasks
	p.tasks = nil
	for _, t := range tasks {
		if t != p.w.running && !t.done {
			t.done = true
			t.stop()
		}
	}
	for _, t := range tasks {
		if t == p.w.running {
			t.done = true
			panic(crash{})
		}
	}
}
