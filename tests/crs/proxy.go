package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed ftw.conf
var settings []byte

// Everything is reported, nothing is blocked. The rules are included one by one, because the settings of the suite
// belong before crs-setup.conf. %s is the origin.
const configuration = `
version: 1
listeners: [{ name: http, address: "127.0.0.1:0" }]
upstreams: { origin: { endpoints: [{ address: "%s" }] } }
filters:
  waf:
    builtin: waf
    config: { mode: detect, ruleset: none, audit: { mode: off }, include: [./ftw.conf, ./crs-setup.conf, "./rules/*.conf"] }
routes: [{ name: all, match: {}, chain: [waf], upstream: origin }]
workers: 2
reload: { watch: false }
observability:
  access_log: { output: ./access.log }
  audit_log: { output: ./audit.log }
`

// A running Portcullis in front of the origin.
type proxy struct {
	process *exec.Cmd
	// host:port of the listener
	address string
	log     string
}

// startProxy runs the program with the rules of the module in a folder of their own.
func startProxy(program, module, folder, origin string) (*proxy, error) {
	if err := copyRules(module, folder); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(configuration, origin)
	if err := os.WriteFile(filepath.Join(folder, "portcullis.yaml"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	output, err := os.Create(filepath.Join(folder, "proxy.log"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	ready := filepath.Join(folder, "ready.json")
	process := exec.Command(program, "run", "-c", "portcullis.yaml", "--ready-file", ready)
	process.Dir, process.Stdout, process.Stderr = folder, output, output
	if err := process.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	address, err := awaitReady(ready, ended)
	if err != nil {
		process.Process.Kill()
		text, _ := os.ReadFile(output.Name())
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return &proxy{process, address, filepath.Join(folder, "audit.log")}, nil
}

// awaitReady waits for the ready file: the first start compiles the filter.
func awaitReady(file string, ended <-chan error) (string, error) {
	deadline := time.After(5 * time.Minute)
	for {
		if text, err := os.ReadFile(file); err == nil {
			// Pairs of a name and an address.
			var ready struct{ Listeners [][2]string }
			if err := json.Unmarshal(text, &ready); err != nil || len(ready.Listeners) == 0 {
				return "", fmt.Errorf("no ready file: %s", text)
			}
			return ready.Listeners[0][1], nil
		}
		select {
		case err := <-ended:
			return "", fmt.Errorf("the proxy ended: %v", err)
		case <-deadline:
			return "", fmt.Errorf("the proxy is not ready after five minutes")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func copyRules(module, folder string) error {
	if err := os.MkdirAll(filepath.Join(folder, "rules"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "ftw.conf"), settings, 0o644); err != nil {
		return err
	}
	setup := filepath.Join(module, "rules/@crs-setup.conf.example")
	if err := copyFile(setup, filepath.Join(folder, "crs-setup.conf")); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(module, "rules/@owasp_crs/*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := copyFile(file, filepath.Join(folder, "rules", filepath.Base(file))); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if closed := target.Close(); err == nil {
		err = closed
	}
	return err
}

// stop ends the proxy, and says whether it still ran.
func (p *proxy) stop() {
	p.process.Process.Kill()
}

// tail gives the last lines of what a program wrote.
func tail(file string, lines int) string {
	text, _ := os.ReadFile(file)
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
