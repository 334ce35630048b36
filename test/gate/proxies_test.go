package gate

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/test/controlplane"
)

// requiredVariable makes the tests fail that would be skipped for want of a proxy.
const requiredVariable = "KEYTURN_INTEROP_REQUIRED"

// proxy is a reverse proxy that asks the gate. Its configuration is the file of that name in docs/gate.md.
type proxy struct {
	program, file string
	// arguments have LISTEN for the address.
	arguments []string
	// optional says that nobody has to have it.
	optional bool
	// setting changes what the page says to where things are in a test, in pairs, and to what lets a program run without a
	// system around it.
	setting func(place) []string
}

// place is where things are in a test. Addresses have a port.
type place struct{ listen, folder, gate, path, ca, service string }

func (p place) port() string { return p.listen[strings.LastIndexByte(p.listen, ':')+1:] }

func proxies() map[string]proxy {
	return map[string]proxy{
		"traefik": traefik(),
		"nginx": {
			program: "nginx", file: "nginx.conf", arguments: []string{"-p", ".", "-c", "nginx.conf", "-e", "stderr"},
			setting: func(p place) []string {
				return []string{
					"events {}", "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}", "listen 8080", "listen " + p.listen,
					"http {", "http {\naccess_log off;\nclient_body_temp_path a;\nproxy_temp_path b;\nfastcgi_temp_path c;\n" +
						"uwsgi_temp_path d;\nscgi_temp_path e;\n",
				}
			},
		},
		"caddy": {
			program: "caddy", file: "Caddyfile", arguments: []string{"run", "--config", "Caddyfile"},
			setting: func(p place) []string {
				return []string{
					"orders.example.com {", "{\nadmin off\nauto_https off\npersist_config off\nstorage file_system " + p.folder + "\n}\n" +
						"http://orders.example.com:" + p.port() + " {\nbind 127.0.0.1",
				}
			},
		},
	}
}

// traefik cannot be built from its Go module as it is: docs/decisions/0031-how-the-gate-decides.md. It is tried where it is.
func traefik() proxy {
	return proxy{
		program: "traefik", file: "orders.yaml", optional: true,
		arguments: []string{
			"--entrypoints.web.address=LISTEN", "--providers.file.filename=orders.yaml",
			"--global.checknewversion=false", "--global.sendanonymoususage=false",
		},
		setting: func(place) []string { return nil },
	}
}

// start starts the program before a service, and returns the address at which it listens.
func (p proxy) start(t *testing.T, w *cluster, s *service) string {
	t.Helper()
	program := find(t, p)
	at := place{listen: freeAddress(t), folder: t.TempDir(), gate: w.gate, path: "/verify/" + w.namespace + "/api", ca: w.caFile, service: s.address()}
	setting := append(p.setting(at), "keyturn.keyturn-system.svc:443", at.gate, "/verify/shop/api", at.path,
		"/run/keyturn/ca.crt", at.ca, "127.0.0.1:3000", at.service)
	configuration := strings.NewReplacer(setting...).Replace(printed(t, p.file))
	w.must(os.WriteFile(filepath.Join(at.folder, p.file), []byte(configuration), 0o600))
	var arguments []string
	for _, argument := range p.arguments {
		arguments = append(arguments, strings.ReplaceAll(argument, "LISTEN", at.listen))
	}
	run(t, at.folder, program, arguments)
	w.eventually(p.program+" asks the gate", func() error {
		got, err := send(t.Context(), at.listen, "/")
		if err == nil && got.status != http.StatusUnauthorized {
			err = fmt.Errorf("status %d without a token", got.status)
		}
		return err
	})
	return at.listen
}

// printed is a file as docs/gate.md has it.
func printed(t *testing.T, file string) string {
	t.Helper()
	page, err := controlplane.Path("docs", "gate.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "`"+file+"`:\n\n```")
	_, after, hasFirst := strings.Cut(after, "\n")
	block, _, ended := strings.Cut(after, "\n```\n")
	if !found || !hasFirst || !ended {
		t.Fatalf("docs/gate.md has no block %s", file)
	}
	return block + "\n"
}

// run runs a program until the test ends.
func run(t *testing.T, folder, program string, arguments []string) {
	t.Helper()
	command := exec.CommandContext(context.WithoutCancel(t.Context()), program, arguments...)
	var output bytes.Buffer
	command.Dir, command.Stdout, command.Stderr = folder, &output, &output
	command.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("end %s: %v", program, err)
		}
		err := command.Wait()
		if t.Failed() {
			t.Logf("%s: %v\n%s", program, err, output.String())
		}
	})
}

// find finds a program where make proxies puts it, or where Debian does.
func find(t *testing.T, p proxy) string {
	t.Helper()
	program := p.program
	built, err := controlplane.Path(".cache", "bin", program)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{built, program, filepath.Join("/usr/sbin", program)} {
		if found, err := exec.LookPath(place); err == nil {
			return found
		}
	}
	if os.Getenv(requiredVariable) != "" && !p.optional {
		t.Fatalf("there is no program %s, and %s is set: run make proxies, or .ci/run install", program, requiredVariable)
	}
	t.Skipf("there is no program %s: run make proxies, or .ci/run install", program)
	return ""
}
