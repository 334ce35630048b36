// Command keyturn is the operator: it rotates SigningKeys, keeps ServiceTokens valid and validates both at admission.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	_ "golang.org/x/crypto/x509roots/fallback" // The image has no certificates of public CAs.
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/keyturn/keyturn/internal/app"
)

// version is set by the linker.
var version = "v0.0.0-dev"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "keyturn:", err)
		os.Exit(1)
	}
}

// collectSooner lets the heap grow by half between two collections of garbage and not to twice its size, unless somebody decides
// otherwise: most of it are caches, which grow with the number of tokens, and the operator has CPU time to spare.
func collectSooner() {
	const percent = 50
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

func run() error {
	collectSooner()
	flags := flag.NewFlagSet("keyturn", flag.ExitOnError)
	config.RegisterFlags(flags)
	logging := zap.Options{}
	logging.BindFlags(flags)
	options := app.DefaultOptions()
	options.Version = version
	options.BindFlags(flags)
	showVersion := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	if *showVersion {
		fmt.Println(version)
		return nil
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: keyturn takes flags only, see --help", flags.Arg(0))
	}
	if err := options.Complete(); err != nil {
		return err
	}
	logger, err := app.NewLogger(&logging)
	if err != nil {
		return err
	}
	app.SetLogger(logger)
	ctrl.Log.WithName("keyturn").Info("starting", "version", version, "go", runtime.Version())
	cluster, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	return app.Run(ctrl.SetupSignalHandler(), cluster, options)
}
