package e2e_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/keyturn/keyturn/test/controlplane"
)

// logs keeps what the operator's containers log in files, also of those that are gone.
type logs struct {
	c      *cluster
	folder string
	mu     sync.Mutex
	known  map[string]bool
	copies sync.WaitGroup
}

// keepLogs copies the logs of every container in the operator's namespace from now on, until stop is called.
func (c *cluster) keepLogs(t *testing.T) (kept *logs, stop func()) {
	t.Helper()
	kept = &logs{c: c, folder: filepath.Join(c.folder, "log", "operator"), known: map[string]bool{}}
	must(t, os.RemoveAll(kept.folder), os.MkdirAll(kept.folder, 0o750))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	options := cache.Options{Scheme: controlplane.Scheme(), DefaultNamespaces: map[string]cache.Config{operatorNamespace: {}}}
	unfollow := follow(t, c.config, options, func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			kept.see(ctx, t, pod)
		}
	}, &corev1.Pod{})
	return kept, func() {
		unfollow()
		cancel()
		kept.copies.Wait()
	}
}

// see begins to copy the log of a container that it sees for the first time.
func (l *logs) see(ctx context.Context, t *testing.T, pod *corev1.Pod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil || l.known[status.ContainerID] {
			continue
		}
		l.known[status.ContainerID] = true
		name := filepath.Join(l.folder, pod.Name+"-"+filepath.Base(status.ContainerID)[:12]+".log")
		l.copies.Go(func() {
			if err := l.copy(ctx, pod.Name, status.Name, name); err != nil && ctx.Err() == nil {
				t.Logf("keep the log of %s: %v", pod.Name, err)
			}
		})
	}
}

func (l *logs) copy(ctx context.Context, pod, container, into string) error {
	options := &corev1.PodLogOptions{Container: container, Follow: true}
	stream, err := l.c.kube.CoreV1().Pods(operatorNamespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	file, err := os.Create(into)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, stream); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// texts are the logs, by the names of their files.
func (l *logs) texts(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(l.folder, "*.log"))
	must(t, err)
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		texts[filepath.Base(file)] = string(text)
	}
	return texts
}
