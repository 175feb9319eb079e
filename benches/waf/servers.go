package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"
)

// A server is a product with the WAF on or off.
type server struct {
	Name string
	// What it is compared with: the same without a WAF.
	Without string
	command func(folder, address, origin string) (*exec.Cmd, error)
}

func servers(portcullis, module string) []server {
	ours := func(waf bool) func(string, string, string) (*exec.Cmd, error) {
		return func(folder, address, origin string) (*exec.Cmd, error) {
			return startPortcullis(portcullis, folder, address, origin, waf)
		}
	}
	own := func(waf string) func(string, string, string) (*exec.Cmd, error) {
		return func(folder, address, origin string) (*exec.Cmd, error) {
			command := exec.Command(os.Args[0], "coraza", address, origin, waf)
			command.Dir = folder
			command.Env = append(os.Environ(), "GOMAXPROCS=1")
			return command, nil
		}
	}
	all := []server{
		{"Portcullis", "", ours(false)},
		{"Portcullis, waf in Wasm", "Portcullis", ours(true)},
		{"Go ReverseProxy", "", own("off")},
		{"Coraza 3.8.1", "Go ReverseProxy", own("on")},
	}
	if _, err := exec.LookPath("nginx"); err == nil && module != "" {
		peer := func(waf bool) func(string, string, string) (*exec.Cmd, error) {
			return func(folder, address, origin string) (*exec.Cmd, error) {
				return startNginx(module, folder, address, origin, waf)
			}
		}
		all = append(all, server{"nginx", "", peer(false)},
			server{"nginx, libmodsecurity3", "nginx", peer(true)})
	}
	return all
}

// The settings of all: the Core Rule Set as it comes, blocking, without audit log.
const engine = `
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess Off
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:1,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
Include %[1]s/crs-setup.conf
Include %[1]s/rules/*.conf
`

func startPortcullis(program, folder, address, origin string, waf bool) (*exec.Cmd, error) {
	chain := "[]"
	if waf {
		chain = "[waf]"
	}
	text := fmt.Sprintf(`
version: 1
listeners: [{ name: http, address: "%s" }]
upstreams: { origin: { endpoints: [{ address: "%s" }] } }
filters: { waf: { builtin: waf, config: { mode: block, ruleset: ., response_bodies: false, audit: { mode: off } } } }
routes: [{ name: all, match: {}, chain: %s, upstream: origin }]
workers: 1
reload: { watch: false }
observability: { access_log: { output: off }, audit_log: { output: off } }
`, address, origin, chain)
	name := fmt.Sprintf("portcullis-%t.yaml", waf)
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
		return nil, err
	}
	command := exec.Command(program, "run", "-c", name)
	command.Dir = folder
	return command, nil
}

func startNginx(module, folder, address, origin string, waf bool) (*exec.Cmd, error) {
	rules := filepath.Join(folder, "nginx-rules.conf")
	if err := os.WriteFile(rules, fmt.Appendf(nil, engine, folder), 0o644); err != nil {
		return nil, err
	}
	directives := ""
	if waf {
		directives = "modsecurity on; modsecurity_rules_file " + rules + ";"
	}
	text := fmt.Sprintf(`
load_module %[1]s;
daemon off; worker_processes 1; pid %[2]s/nginx.pid; error_log %[2]s/nginx.log crit;
events { worker_connections 128; }
http {
  access_log off; client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy;
  fastcgi_temp_path %[2]s/fastcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
  keepalive_requests 1000000000;
  upstream origin { server %[4]s; keepalive 8; }
  server { listen %[3]s; %[5]s
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
`, module, folder, address, origin, directives)
	file := filepath.Join(folder, fmt.Sprintf("nginx-%t.conf", waf))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return exec.Command("nginx", "-c", file, "-p", folder), nil
}

// serveCoraza is Coraza as its documentation wires it up, before a reverse proxy.
func serveCoraza(address, origin, waf string) error {
	target, err := url.Parse("http://" + origin)
	if err != nil {
		return err
	}
	var handler http.Handler = httputil.NewSingleHostReverseProxy(target)
	if waf == "on" {
		folder, err := os.Getwd()
		if err != nil {
			return err
		}
		config := coraza.NewWAFConfig().WithDirectives(strings.ReplaceAll(engine, "%[1]s", folder))
		compiled, err := coraza.NewWAF(config)
		if err != nil {
			return err
		}
		handler = corazahttp.WrapHandler(compiled, handler)
	}
	return http.ListenAndServe(address, handler)
}

// startOrigin answers everything with a short page.
func startOrigin() (string, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	page := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>A page</title><p>Nothing to see.")
	}
	go http.Serve(socket, http.HandlerFunc(page))
	return socket.Addr().String(), nil
}

// freeAddress is one that was free a moment ago.
func freeAddress() (string, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer socket.Close()
	return socket.Addr().String(), nil
}

// start runs a server and waits until it answers; it says how long that took.
func (s server) start(folder, origin string) (*exec.Cmd, string, time.Duration, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, "", 0, err
	}
	command, err := s.command(folder, address, origin)
	if err != nil {
		return nil, "", 0, err
	}
	output, err := os.Create(filepath.Join(folder, "server.log"))
	if err != nil {
		return nil, "", 0, err
	}
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	began := time.Now()
	if err := command.Start(); err != nil {
		return nil, "", 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for time.Since(began) < 5*time.Minute {
		response, err := http.Get("http://" + address + "/")
		if err == nil {
			response.Body.Close()
			return command, address, time.Since(began), nil
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(output.Name())
			return nil, "", 0, fmt.Errorf("%s ended: %v\n%s", s.Name, err, text)
		case <-time.After(5 * time.Millisecond):
		}
	}
	command.Process.Kill()
	return nil, "", 0, fmt.Errorf("%s does not answer", s.Name)
}
