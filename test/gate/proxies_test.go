package gate

import (
	"bytes"
	"fmt"
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

// proxy is a reverse proxy that asks the gate.
type proxy struct {
	// program is its name, and file the name of its configuration.
	program, file string
	arguments     []string
	// configuration has the names of setting in braces with a dollar sign.
	configuration string
}

func proxies() map[string]proxy {
	return map[string]proxy{
		"nginx": {program: "nginx", file: "nginx.conf", arguments: []string{"-p", "${folder}", "-c", "nginx.conf", "-e", "error.log"}, configuration: nginxConfiguration},
		"caddy": {program: "caddy", file: "Caddyfile", arguments: []string{"run", "--config", "Caddyfile"}, configuration: caddyConfiguration},
	}
}

// The configurations are those of docs/gate.md, but for addresses, and for what lets a program run without a system around it.

const nginxConfiguration = `
daemon off;
error_log stderr;
pid nginx.pid;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;

  upstream keyturn {
    server ${gate};
    keepalive 16;
    keepalive_timeout 10s;
  }
  server {
    listen ${listen};
    location / {
      auth_request /.keyturn;
      auth_request_set $subject $upstream_http_x_subject;
      auth_request_set $tenant $upstream_http_x_tenant;
      proxy_set_header X-Subject $subject;
      proxy_set_header X-Tenant $tenant;
      proxy_pass http://${service};
    }
    location = /.keyturn {
      internal;
      proxy_pass https://keyturn${path};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host keyturn;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Forwarded-Method $request_method;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_ssl_trusted_certificate ${ca};
      proxy_ssl_verify on;
      proxy_ssl_name keyturn.keyturn-system.svc;
    }
    error_page 500 =503 @unavailable;
    location @unavailable {
      internal;
      add_header Retry-After 10 always;
      return 503;
    }
  }
}
`

const caddyConfiguration = `
{
	admin off
	auto_https off
	persist_config off
	storage file_system ${folder}
}
http://orders.example.com:${port} {
	bind 127.0.0.1
	forward_auth https://${gate} {
		uri ${path}
		copy_headers X-Subject X-Tenant
		transport http {
			tls_trust_pool file ${ca}
		}
	}
	reverse_proxy ${service}
}
`

// start starts the program before a service, and returns the address at which it listens.
func (p proxy) start(t *testing.T, w *cluster, s *service) string {
	t.Helper()
	program := find(t, p.program)
	listen, folder := freeAddress(t), t.TempDir()
	setting := strings.NewReplacer("${listen}", listen, "${port}", listen[strings.LastIndexByte(listen, ':')+1:], "${folder}", folder,
		"${gate}", w.gate, "${path}", fmt.Sprintf("/verify/%s/api", w.namespace), "${ca}", w.caFile, "${service}", s.address())
	w.must(os.WriteFile(filepath.Join(folder, p.file), []byte(setting.Replace(p.configuration)), 0o600))
	var arguments []string
	for _, argument := range p.arguments {
		arguments = append(arguments, setting.Replace(argument))
	}
	run(t, folder, program, arguments)
	w.eventually(p.program+" listens", func() error {
		_, err := send(t.Context(), listen, "/")
		return err
	})
	return listen
}

// run runs a program until the test ends.
func run(t *testing.T, folder, program string, arguments []string) {
	t.Helper()
	command := exec.Command(program, arguments...)
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
func find(t *testing.T, program string) string {
	t.Helper()
	built, err := controlplane.Path(".cache", "bin", program)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{built, program, filepath.Join("/usr/sbin", program)} {
		if found, err := exec.LookPath(place); err == nil {
			return found
		}
	}
	if os.Getenv(requiredVariable) != "" {
		t.Fatalf("there is no program %s, and %s is set: run make proxies, or .ci/run install", program, requiredVariable)
	}
	t.Skipf("there is no program %s: run make proxies, or .ci/run install", program)
	return ""
}
