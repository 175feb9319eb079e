// Command guest is a proxy-wasm module that does what its configuration says: the guest of the end-to-end tests, by
// the Go SDK. It reads the same scripts as the Rust guest (see ../rust/src/op.rs), as far as the SDK can follow them.
package main

import (
	"encoding/json"
	"fmt"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() {
	proxywasm.SetVMContext(&vm{})
}

type vm struct {
	types.DefaultVMContext
	config []byte
}

func (v *vm) OnVMStart(int) types.OnVMStartStatus {
	config, err := proxywasm.GetVMConfiguration()
	if err == nil {
		v.config = append([]byte(nil), config...)
	}
	return types.OnVMStartStatusOK
}

func (v *vm) NewPluginContext(id uint32) types.PluginContext {
	return &plugin{id: id, vm: v, metrics: map[string]metric{}}
}

// plugin is what the streams of one plugin share.
type plugin struct {
	types.DefaultPluginContext
	id      uint32
	vm      *vm
	config  []byte
	script  script
	metrics map[string]metric
	// Streams that wait for a tick.
	waiting []*stream
}

type script struct {
	// Streams are TCP connections; else they are exchanges.
	Tcp    bool            `json:"tcp"`
	TickMs uint32          `json:"tick_ms"`
	On     map[string][]op `json:"on"`
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	config, err := proxywasm.GetPluginConfiguration()
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	p.config = append([]byte(nil), config...)
	if len(p.config) > 0 {
		if err := json.Unmarshal(p.config, &p.script); err != nil {
			proxywasm.LogErrorf("bad script: %v", err)
			return types.OnPluginStartStatusFailed
		}
	}
	if p.script.TickMs > 0 {
		if err := proxywasm.SetTickPeriodMilliSeconds(p.script.TickMs); err != nil {
			proxywasm.LogErrorf("tick: %v", err)
			return types.OnPluginStartStatusFailed
		}
	}
	scope := p.scope()
	p.run(scope, "configure")
	return types.OnPluginStartStatus(!scope.failed)
}

func (p *plugin) OnPluginDone() bool {
	scope := p.scope()
	p.run(scope, "plugin_done")
	return !scope.failed
}

func (p *plugin) OnTick() {
	p.run(p.scope(), "tick")
	waiting := p.waiting
	p.waiting = nil
	for _, s := range waiting {
		if s.done || proxywasm.SetEffectiveContext(s.id) != nil {
			continue
		}
		p.run(s.scope(0, true), "woken")
		s.resume()
	}
}

func (p *plugin) OnQueueReady(queue uint32) {
	scope := p.scope()
	scope.queue = queue
	p.run(scope, "queue_ready")
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext {
	if p.script.Tcp {
		return nil
	}
	return &stream{id: id, plugin: p}
}

func (p *plugin) NewTcpContext(id uint32) types.TcpContext {
	return &connection{stream{id: id, plugin: p}}
}

func (p *plugin) scope() *scope {
	return &scope{plugin: p, end: true}
}

func (p *plugin) run(s *scope, event string) types.Action {
	switch event {
	case "request_trailers":
		s.headers = requestTrailers
	case "response_trailers":
		s.headers = responseTrailers
	default:
		s.headers = requestHeaders
		if s.response {
			s.headers = responseHeaders
		}
	}
	if s.all(p.script.On[event]) == paused {
		return types.ActionPause
	}
	return types.ActionContinue
}

// stream is one exchange, seen by one plugin.
type stream struct {
	types.DefaultHttpContext
	id     uint32
	plugin *plugin
	// The request's x-do header, which "when" looks at in every later callback.
	asked    string
	response bool
	// Callouts not answered yet.
	calls int
	done  bool
}

func (s *stream) scope(size int, end bool) *scope {
	return &scope{plugin: s.plugin, stream: s, asked: s.asked, response: s.response, size: size, end: end}
}

func (s *stream) run(event string, size int, end bool) types.Action {
	return s.plugin.run(s.scope(size, end), event)
}

func (s *stream) resume() {
	if s.plugin.script.Tcp {
		// The SDK continues the client's direction only.
		check(proxywasm.ContinueTcpStream())
		return
	}
	resume := proxywasm.ResumeHttpRequest
	if s.response {
		resume = proxywasm.ResumeHttpResponse
	}
	if err := resume(); err != nil {
		proxywasm.LogErrorf("resume: %v", err)
	}
}

func (s *stream) OnHttpRequestHeaders(count int, end bool) types.Action {
	s.asked, _ = proxywasm.GetHttpRequestHeader("x-do")
	return s.run("request_headers", count, end)
}

func (s *stream) OnHttpRequestBody(size int, end bool) types.Action {
	return s.run("request_body", size, end)
}

func (s *stream) OnHttpRequestTrailers(count int) types.Action {
	return s.run("request_trailers", count, true)
}

func (s *stream) OnHttpResponseHeaders(count int, end bool) types.Action {
	s.response = true
	return s.run("response_headers", count, end)
}

func (s *stream) OnHttpResponseBody(size int, end bool) types.Action {
	return s.run("response_body", size, end)
}

func (s *stream) OnHttpResponseTrailers(count int) types.Action {
	return s.run("response_trailers", count, true)
}

func (s *stream) OnHttpStreamDone() {
	s.run("done", 0, true)
	s.done = true
}

// answered is the callback of every callout that the stream made.
func (s *stream) answered(_, size, _ int) {
	s.calls--
	s.run("call_response", size, false)
	if s.calls == 0 {
		s.run("calls_done", size, false)
	}
}

// op is one step: its name, and its arguments as JSON.
type op struct {
	name string
	args json.RawMessage
}

// UnmarshalJSON reads "name" or {"name": ARGS}.
func (o *op) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &o.name); err == nil {
		return nil
	}
	var pair map[string]json.RawMessage
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	if len(pair) != 1 {
		return fmt.Errorf("an operation has one name, this has %d", len(pair))
	}
	for o.name, o.args = range pair {
	}
	return nil
}
