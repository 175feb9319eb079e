// Command filter is the example filter in Go. What it does is said in ../README.md.
package main

import (
	"encoding/json"
	"errors"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const callMilliseconds = 1000

func main() {}

// The Go runtime calls init, and not main, in a module built with -buildmode=c-shared.
func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

type settings struct {
	Header, Value, Mask, Upstream string
}

// plugin is one configuration. A VM may have several: the proxy makes a context for each.
type plugin struct {
	types.DefaultPluginContext
	settings settings
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	config, err := proxywasm.GetPluginConfiguration()
	if err == nil {
		err = json.Unmarshal(config, &p.settings)
	}
	s := p.settings
	if err == nil && (s.Header == "" || s.Value == "" || s.Mask == "" || s.Upstream == "") {
		err = errors.New("it needs the texts header, value, mask and upstream")
	}
	if err != nil {
		proxywasm.LogErrorf("configuration: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{settings: &p.settings}
}

type stream struct {
	types.DefaultHttpContext
	settings *settings
}

func (s *stream) OnHttpRequestHeaders(_ int, endOfStream bool) types.Action {
	must(proxywasm.AddHttpRequestHeader(s.settings.Header, s.settings.Value))
	if !endOfStream {
		// The body will have another length.
		must(proxywasm.RemoveHttpRequestHeader("content-length"))
	}
	path, err := proxywasm.GetHttpRequestHeader(":path")
	must(err)
	headers := [][2]string{
		{":method", "GET"},
		{":path", "/check"},
		{":authority", s.settings.Upstream},
		{"x-path", path},
	}
	_, err = proxywasm.DispatchHttpCall(s.settings.Upstream, headers, nil, nil, callMilliseconds, s.onAnswer)
	if err != nil {
		s.reply(503, "no policy service\n")
	}
	return types.ActionPause
}

// onAnswer is called for this stream; the SDK knows by the token.
func (s *stream) onAnswer(int, int, int) {
	// No answer at all is an error here, and no headers.
	headers, _ := proxywasm.GetHttpCallResponseHeaders()
	var status, user string
	for _, header := range headers {
		switch header[0] {
		case ":status":
			status = header[1]
		case "x-user":
			user = header[1]
		}
	}
	// Nobody but the policy service says who it is.
	must(proxywasm.RemoveHttpRequestHeader("x-user"))
	if user != "" {
		must(proxywasm.AddHttpRequestHeader("x-user", user))
	}
	if status == "200" {
		must(proxywasm.ResumeHttpRequest())
	} else {
		s.reply(403, "denied by policy\n")
	}
}

func (s *stream) OnHttpRequestBody(size int, endOfStream bool) types.Action {
	if !endOfStream {
		return types.ActionPause
	}
	body, err := proxywasm.GetHttpRequestBody(0, size)
	if err != nil {
		return types.ActionContinue
	}
	// Values stay as they are written: numbers keep their digits.
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return types.ActionContinue
	}
	if _, found := object[s.settings.Mask]; found {
		object[s.settings.Mask] = json.RawMessage(`"***"`)
		changed, err := json.Marshal(object)
		must(err)
		must(proxywasm.ReplaceHttpRequestBody(changed))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	must(proxywasm.AddHttpResponseHeader(s.settings.Header, s.settings.Value))
	return types.ActionContinue
}

func (s *stream) reply(status uint32, body string) {
	must(proxywasm.SendHttpResponse(status, nil, []byte(body), -1))
}

// must ends the VM where the proxy refuses what it cannot refuse: the exchange is denied, not passed unfiltered.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
