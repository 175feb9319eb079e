// The regression tests of the OWASP Core Rule Set, by go-ftw, against Portcullis with the filter waf in its chain.
//
// Every test is judged by the lines of the audit log, as its authors mean it. run.sh builds what this needs.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/corazawaf/coraza-coreruleset/v4"
	schema "github.com/coreruleset/ftw-tests-schema/v2/types"
	"github.com/coreruleset/go-ftw/config"
	"github.com/coreruleset/go-ftw/output"
	"github.com/coreruleset/go-ftw/runner"
	"github.com/coreruleset/go-ftw/test"
	"github.com/rs/zerolog"
	"gopkg.in/yaml.v3"
)

const ruleSet = "github.com/corazawaf/coraza-coreruleset/v4"

func main() {
	program := flag.String("proxy", "", "the program portcullis")
	known := flag.String("known", "known.yaml", "tests that fail, with their reasons")
	keep := flag.String("folder", "", "where logs are left; by default they are removed")
	flag.Parse()
	zerolog.SetGlobalLevel(zerolog.Disabled)
	good, err := run(*program, *known, *keep, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !good {
		os.Exit(1)
	}
}

func run(program, known, folder string, wanted []string) (bool, error) {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", ruleSet).Output()
	if err != nil {
		return false, fmt.Errorf("no module %s: %w", ruleSet, err)
	}
	rules := strings.TrimSpace(string(module))
	reasons, err := readKnown(known)
	if err != nil {
		return false, err
	}
	tests, err := load(filepath.Join(rules, "tests"), wanted)
	if err != nil {
		return false, err
	}
	if folder == "" {
		if folder, err = os.MkdirTemp("", "crs"); err != nil {
			return false, err
		}
		defer os.RemoveAll(folder)
	}
	origin, err := startOrigin()
	if err != nil {
		return false, err
	}
	began := time.Now()
	proxy, err := startProxy(program, rules, folder, origin)
	if err != nil {
		return false, err
	}
	defer proxy.stop()
	fmt.Fprintf(os.Stderr, "ready after %.1f s\n", time.Since(began).Seconds())
	failed, err := runAll(proxy, tests)
	if err != nil {
		return false, fmt.Errorf("%w\n%s", err, tail(filepath.Join(folder, "proxy.log"), 20))
	}
	return report(tests, failed, reasons), nil
}

// readKnown reads a mapping from test ids to reasons.
func readKnown(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	if err := yaml.Unmarshal(text, &reasons); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return reasons, nil
}

// load reads the tests whose ids begin with one of those wanted, all of them for none, one in each FTWTest.
func load(folder string, wanted []string) ([]*test.FTWTest, error) {
	files, err := test.GetTestsFromFiles(filepath.Join(folder, "**/*.yaml"))
	if err != nil {
		return nil, err
	}
	var tests []*test.FTWTest
	for _, file := range files {
		for _, one := range file.Tests {
			id := one.IdString()
			isPrefix := func(prefix string) bool { return strings.HasPrefix(id, prefix) }
			if len(wanted) > 0 && !slices.ContainsFunc(wanted, isPrefix) {
				continue
			}
			// go-ftw 1.3 ends the whole run where such a test fails twice; and the log of ours is never late.
			for stage := range one.Stages {
				one.Stages[stage].Output.RetryOnce = nil
			}
			single := *file
			single.Tests = []schema.Test{one}
			tests = append(tests, &single)
		}
	}
	return tests, nil
}

// runAll answers what went wrong, by test.
func runAll(proxy *proxy, tests []*test.FTWTest) (map[string]string, error) {
	host, port, err := net.SplitHostPort(proxy.address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	settings := config.NewDefaultConfig()
	settings.LogFile = proxy.log
	// One more request each, until the log is written: a machine with other work to do may take its time.
	settings.MaxMarkerRetries = 2000
	settings.TestOverride.Overrides.DestAddr = &host
	settings.TestOverride.Overrides.Port = &number
	options := &runner.RunnerConfig{
		ShowOnlyFailed: true,
		ConnectTimeout: 10 * time.Second,
		ReadTimeout:    10 * time.Second,
	}
	quiet := output.NewOutput("quiet", io.Discard)
	failed := map[string]string{}
	for index, one := range tests {
		id := one.Tests[0].IdString()
		outcome, err := runner.Run(settings, []*test.FTWTest{one}, options, quiet)
		switch {
		case err != nil:
			failed[id] = err.Error()
		case outcome.Stats.TotalFailed() > 0:
			failed[id] = fmt.Sprintf("%s; logged: %v", expectation(one), outcome.Stats.TriggeredRules[id])
		}
		if (index+1)%200 == 0 {
			fmt.Fprintf(os.Stderr, "%d of %d, %d failed\n", index+1, len(tests), len(failed))
		}
	}
	return failed, nil
}

// expectation says what the last request of a test should have led to.
func expectation(one *test.FTWTest) string {
	stages := one.Tests[0].Stages
	wanted := stages[len(stages)-1].Output
	var words []string
	if wanted.Status != 0 {
		words = append(words, fmt.Sprintf("status %d", wanted.Status))
	}
	if wanted.ExpectError != nil && *wanted.ExpectError {
		words = append(words, "no response")
	}
	if log := wanted.Log; len(log.ExpectIds) > 0 {
		words = append(words, fmt.Sprintf("rules %v", log.ExpectIds))
	} else if len(log.NoExpectIds) > 0 {
		words = append(words, fmt.Sprintf("not rules %v", log.NoExpectIds))
	} else if log.MatchRegex != "" {
		words = append(words, fmt.Sprintf("a line %q", log.MatchRegex))
	} else if log.NoMatchRegex != "" {
		words = append(words, fmt.Sprintf("no line %q", log.NoMatchRegex))
	}
	return "expected " + strings.Join(words, ", ")
}

// report prints what failed, and last a count; it answers whether nothing is new.
func report(tests []*test.FTWTest, failed, reasons map[string]string) bool {
	good := true
	ids := map[string]bool{}
	for _, one := range tests {
		id := one.Tests[0].IdString()
		ids[id] = true
		problem, isFailed := failed[id]
		reason, isKnown := reasons[id]
		switch {
		case isFailed && isKnown:
			fmt.Printf("%s: known: %s\n", id, reason)
		case isFailed:
			good = false
			fmt.Printf("%s: %s\n", id, problem)
		case isKnown:
			good = false
			fmt.Printf("%s: passes; take it out of the known failures\n", id)
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(ids)-len(failed), len(failed))
	return good
}
