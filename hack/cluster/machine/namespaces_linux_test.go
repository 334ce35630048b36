package machine

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The first thread stands for the whole process in /proc: once it had entered a cluster, the launcher seemed to be in it.
func TestTheFirstThreadStaysOnTheHost(t *testing.T) {
	for range 200 {
		finished := make(chan error)
		go func() { // A new goroutine may run on any thread, the first one included.
			finished <- onThreadOfItsOwn(func() error {
				if unix.Gettid() == unix.Getpid() {
					t.Error("the call was made on the first thread of the process")
				}
				return nil
			})
		}()
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
	}
}
