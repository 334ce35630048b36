package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/keyturn/keyturn/hack/local/gobuild"
	"github.com/keyturn/keyturn/hack/local/process"
)

const (
	yardstickProgram = ".cache/bin/yardstick"
	// yardstickFolder has what it needs while it runs.
	yardstickFolder = ".run/yardstick"
)

// yardstick is the server that the operator's is compared with, as a process of its own.
type yardstick struct {
	address  string
	identity process.Identity
}

// startYardstick builds it, and starts it with the JWK Set that it serves and verifies by.
func (w *World) startYardstick(ctx context.Context, set []byte) (*yardstick, error) {
	built := gobuild.Build{
		What: "yardstick", Folder: ".", Flags: []string{"-buildvcs=false"}, Packages: []string{"./test/bench/yardstick"}, Output: yardstickProgram,
	}
	if err := built.Run(ctx, w.out); err != nil {
		return nil, fmt.Errorf("build yardstick: %w", err)
	}
	logs := filepath.Join(".run", "log")
	if err := errors.Join(os.MkdirAll(yardstickFolder, 0o700), os.MkdirAll(logs, 0o700)); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	jwks := filepath.Join(yardstickFolder, "jwks.json")
	if err := os.WriteFile(jwks, set, 0o600); err != nil {
		return nil, fmt.Errorf("write JWK Set: %w", err)
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	program := process.Program{
		Name: "yardstick", Path: yardstickProgram, Args: []string{"-address=" + address, "-jwks=" + jwks},
		LogFile: filepath.Join(logs, "yardstick.log"), IdentityFile: filepath.Join(yardstickFolder, "process"),
	}
	if _, err := process.Start(ctx, program); err != nil {
		return nil, fmt.Errorf("start yardstick: %w", err)
	}
	y := &yardstick{address: address}
	if y.identity, err = process.ReadFile(program.IdentityFile); err != nil {
		return nil, err
	}
	return y, y.await(ctx)
}

func (y *yardstick) await(ctx context.Context) error {
	const patience = 20 * time.Second
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		opened, err := dial(ctx, y.address)
		if err != nil {
			return false, nil //nolint:nilerr // It does not listen yet.
		}
		return true, opened.Close()
	})
}

func (y *yardstick) stop(ctx context.Context) error {
	return errors.Join(process.Stop(context.WithoutCancel(ctx), y.identity, operatorPatience), os.RemoveAll(yardstickFolder))
}

// load is a load for it.
func (y *yardstick) load(name string, requests ...[]byte) *load {
	return &load{name: name, address: y.address, requests: requests, pid: y.identity.PID}
}
