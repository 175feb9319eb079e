// What a WAF costs each request: Portcullis beside Coraza, and nginx with libmodsecurity where that is installed.
// All have the Core Rule Set at paranoia level 1, blocking. run.sh builds what this needs.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A row is what one server was found to cost.
type row struct {
	Server  string             `json:"server"`
	Without string             `json:"without,omitempty"`
	Start   float64            `json:"start_ms"`
	Costs   map[string]*figure `json:"costs"`
}

func main() {
	if len(os.Args) == 5 && os.Args[1] == "coraza" {
		fmt.Fprintln(os.Stderr, serveCoraza(os.Args[2], os.Args[3], os.Args[4]))
		os.Exit(1)
	}
	program := flag.String("portcullis", "", "the program portcullis")
	native := flag.String("native", "", "the program that measures the engine alone")
	rules := flag.String("rules", "", "folder of the Go module coraza-coreruleset")
	module := flag.String("nginx-module", "", "nginx's module with libmodsecurity3")
	quick := flag.Bool("quick", false, "does everything run?")
	file := flag.String("json", "", "write figures to this file")
	flag.Parse()
	if err := run(*program, *native, *rules, *module, *quick, *file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(program, native, rules, module string, quick bool, file string) error {
	folder, err := os.MkdirTemp("", "waf")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := install(rules, folder); err != nil {
		return err
	}
	origin, err := startOrigin()
	if err != nil {
		return err
	}
	during, rounds := 4*time.Second, 3
	if quick {
		during, rounds = time.Second/2, 1
	}
	var rows []row
	failed := 0
	for _, server := range servers(program, module) {
		row, err := server.row(folder, origin, during, rounds)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", server.Name, err)
			failed++
			continue
		}
		rows = append(rows, row)
	}
	engine, err := alone(native, folder, quick)
	if err != nil {
		return err
	}
	printTable(rows, engine)
	if file != "" {
		text, err := json.MarshalIndent(map[string]any{"servers": rows, "engine": engine}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d servers could not be measured", failed)
	}
	return nil
}

// install lays the rules out as a rule set is.
func install(rules, folder string) error {
	if err := os.Mkdir(filepath.Join(folder, "rules"), 0o755); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(rules, "rules/@owasp_crs/*"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no rules in %q: %v", rules, err)
	}
	pairs := map[string]string{filepath.Join(rules, "rules/@crs-setup.conf.example"): "crs-setup.conf"}
	for _, file := range files {
		pairs[file] = filepath.Join("rules", filepath.Base(file))
	}
	for from, to := range pairs {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, to), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// row measures a server: the best of the rounds, since others can only add to what is counted.
func (s server) row(folder, origin string, during time.Duration, rounds int) (row, error) {
	command, address, began, err := s.start(folder, origin)
	if err != nil {
		return row{}, err
	}
	defer command.Process.Kill()
	found := row{s.Name, s.Without, float64(began.Milliseconds()), map[string]*figure{}}
	for range rounds {
		for _, request := range requests() {
			request.Refused = request.Refused && s.Without != ""
			figure, err := measure(command.Process.Pid, address, request, during)
			if err != nil {
				return row{}, err
			}
			if best := found.Costs[request.Name]; best == nil || figure.CPU < best.CPU {
				found.Costs[request.Name] = &figure
			}
			fmt.Fprintf(os.Stderr, "%s, %s: %.0f us\n", s.Name, request.Name, figure.CPU)
		}
	}
	return found, nil
}

// alone measures the engine without a proxy: what it prints is JSON.
func alone(native, folder string, quick bool) (map[string]any, error) {
	wire := filepath.Join(folder, "requests")
	if err := os.Mkdir(wire, 0o755); err != nil {
		return nil, err
	}
	arguments := []string{folder}
	for index, request := range requests() {
		file := filepath.Join(wire, fmt.Sprintf("%d.http", index))
		if err := os.WriteFile(file, request.Bytes, 0o644); err != nil {
			return nil, err
		}
		arguments = append(arguments, file)
	}
	command := exec.Command(native, arguments...)
	command.Env = append(os.Environ(), fmt.Sprintf("QUICK=%t", quick))
	text, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", native, err)
	}
	found := map[string]any{}
	return found, json.Unmarshal(text, &found)
}

func printTable(rows []row, engine map[string]any) {
	cases := requests()
	fmt.Print("| microseconds of CPU for a request |")
	for _, request := range cases {
		fmt.Printf(" %s |", request.Name)
	}
	fmt.Print(" start, ms | memory, MiB |\n|---|")
	for range cases {
		fmt.Print("--:|")
	}
	fmt.Println("--:|--:|")
	byName := map[string]row{}
	for _, row := range rows {
		byName[row.Server] = row
		fmt.Printf("| %s |", row.Server)
		var memory int64
		for _, request := range cases {
			figure := row.Costs[request.Name]
			memory = max(memory, figure.Memory)
			fmt.Printf(" %.0f |", figure.CPU)
		}
		fmt.Printf(" %.0f | %.0f |\n", row.Start, float64(memory)/(1<<20))
	}
	for _, row := range rows {
		base, ok := byName[row.Without]
		if !ok {
			continue
		}
		fmt.Printf("| **%s adds** |", row.Server)
		for _, request := range cases {
			fmt.Printf(" **%.0f** |", row.Costs[request.Name].CPU-base.Costs[request.Name].CPU)
		}
		fmt.Println(" | |")
	}
	fmt.Print("| **the engine alone** |")
	costs, _ := engine["costs_us"].([]any)
	for _, cost := range costs {
		fmt.Printf(" **%.0f** |", cost)
	}
	fmt.Printf(" %.0f | |\n", engine["compile_ms"])
}
