package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// scope is what the operations of one callback see.
type scope struct {
	plugin   *plugin
	stream   *stream
	asked    string
	response bool
	headers  headerMap
	size     int
	end      bool
	queue    uint32
	failed   bool
}

// step says whether the next operation runs.
type step bool

const (
	next   step = false
	paused step = true
)

func (s *scope) all(ops []op) step {
	for _, o := range ops {
		if s.one(o) == paused {
			return paused
		}
	}
	return next
}

func (s *scope) one(o op) step {
	switch o.name {
	case "when":
		if value, ops := o.branch(); value == s.asked {
			return s.all(ops)
		}
	case "at_end":
		var ops []op
		o.into(&ops)
		if s.end {
			return s.all(ops)
		}
	case "if_body":
		if text, ops := o.branch(); bytes.Contains(s.body(), []byte(text)) {
			return s.all(ops)
		}
	case "gather":
		var size int
		o.into(&size)
		return step(len(s.body()) < size)
	case "close":
		o.shut()
	case "buffer":
		return step(!s.end)
	case "pause":
		return paused
	case "resume_on_tick":
		s.plugin.waiting = append(s.plugin.waiting, s.stream)
		return paused
	case "reply":
		var reply reply
		o.into(&reply)
		return reply.send()
	case "reply_if_body":
		var text string
		var status uint32
		o.into(&[]any{&text, &status})
		if bytes.Contains(s.body(), []byte(text)) {
			return reply{Status: status, Body: "found"}.send()
		}
	case "call":
		s.call(o)
	case "fail":
		s.failed = true
	case "panic":
		panic("asked to panic")
	case "loop":
		for {
		}
	case "eat_memory":
		var eaten [][]byte
		for {
			eaten = append(eaten, bytes.Repeat([]byte{1}, 1<<20))
		}
	default:
		s.plain(o)
	}
	return next
}

// plain runs the operations that never end the list.
func (s *scope) plain(o op) {
	switch o.name {
	case "add", "set", "remove", "set_all", "copy", "list", "count", "bad_header", "map":
		s.changeHeaders(o)
	case "append", "prepend", "replace", "upper", "size":
		s.changeBody(o)
	case "resume":
		s.stream.resume()
	case "call_status":
		headers, err := proxywasm.GetHttpCallResponseHeaders()
		if err != types.ErrorStatusNotFound { // The SDK's word for an empty map.
			check(err)
		}
		s.tell(o.text(), first(headers, ":status", "none"))
	case "call_body":
		body, err := proxywasm.GetHttpCallResponseBody(0, math.MaxInt32)
		if err != types.ErrorStatusNotFound {
			check(err)
		}
		s.tell(o.text(), string(body))
	case "foreign":
		var args [3]string
		o.into(&args)
		argument, err := hex.DecodeString(args[1])
		check(err)
		result, err := proxywasm.CallForeignFunction(args[0], argument)
		if err != nil {
			s.tell(args[2], err.Error())
			return
		}
		s.tell(args[2], "="+hex.EncodeToString(result))
	case "grpc_call", "grpc_message", "grpc_status":
		s.grpc(o)
	case "property", "property_number", "set_property":
		s.properties(o)
	case "share_increment", "share_get", "share_set":
		s.sharedData(o)
	case "queue_register", "enqueue", "dequeue":
		s.queues(o)
	case "counter", "gauge", "histogram":
		s.measure(o)
	default:
		s.surroundings(o)
	}
}

func (s *scope) changeBody(o op) {
	body := s.visible()
	switch o.name {
	case "append":
		check(body.append([]byte(o.text())))
	case "prepend":
		check(body.prepend([]byte(o.text())))
	case "replace":
		check(body.replace([]byte(o.text())))
	case "upper":
		check(body.replace(bytes.ToUpper(s.body())))
	case "size":
		s.tell(o.text(), strconv.Itoa(s.size))
	}
}

func (s *scope) properties(o op) {
	path, value := o.pair()
	segments := strings.Split(path, ".")
	if o.name == "set_property" {
		check(proxywasm.SetProperty(segments, []byte(value)))
		return
	}
	bytes, err := proxywasm.GetProperty(segments)
	switch {
	case err == types.ErrorStatusNotFound:
		s.tell(value, "-")
	case err != nil:
		panic(err)
	case o.name == "property":
		s.tell(value, string(bytes))
	case len(bytes) == 8:
		s.tell(value, strconv.FormatInt(int64(binary.LittleEndian.Uint64(bytes)), 10))
	default:
		s.tell(value, fmt.Sprintf("%d bytes", len(bytes)))
	}
}

func (s *scope) sharedData(o op) {
	switch o.name {
	case "share_increment":
		increment(o.text())
	case "share_get":
		key, to := o.pair()
		value, _, err := proxywasm.GetSharedData(key)
		if err == types.ErrorStatusNotFound {
			value = []byte("-")
		} else {
			check(err)
		}
		s.tell(to, string(value))
	case "share_set":
		key, value := o.pair()
		check(proxywasm.SetSharedData(key, []byte(value), 0))
	}
}

// increment adds one to a counter in shared data, by compare and swap until it succeeds.
func increment(key string) {
	for {
		value, cas, err := proxywasm.GetSharedData(key)
		if err != types.ErrorStatusNotFound {
			check(err)
		}
		count, _ := strconv.ParseUint(string(value), 10, 64)
		err = proxywasm.SetSharedData(key, []byte(strconv.FormatUint(count+1, 10)), cas)
		if err != types.ErrorStatusCasMismatch {
			check(err)
			return
		}
	}
}

func (s *scope) queues(o op) {
	switch o.name {
	case "queue_register":
		_, err := proxywasm.RegisterSharedQueue(o.text())
		check(err)
	case "enqueue":
		var args [3]string
		o.into(&args)
		queue, err := proxywasm.ResolveSharedQueue(args[0], args[1])
		if err != nil {
			s.tell("x-queue", "unknown")
			return
		}
		check(proxywasm.EnqueueSharedQueue(queue, []byte(args[2])))
		s.tell("x-queue", "Ok(())")
	case "dequeue":
		for {
			item, err := proxywasm.DequeueSharedQueue(s.queue)
			if err == types.ErrorStatusEmpty {
				return
			}
			check(err)
			appendShared(o.text(), item)
		}
	}
}

func appendShared(key string, item []byte) {
	for {
		value, cas, err := proxywasm.GetSharedData(key)
		if err != types.ErrorStatusNotFound {
			check(err)
		}
		value = append(append(append([]byte(nil), value...), item...), ',')
		if err = proxywasm.SetSharedData(key, value, cas); err != types.ErrorStatusCasMismatch {
			check(err)
			return
		}
	}
}

// metric changes one of the three kinds.
type metric func(by int64)

func (s *scope) measure(o op) {
	var name string
	var by int64
	o.into(&[]any{&name, &by})
	change, known := s.plugin.metrics[name]
	if !known {
		switch o.name {
		case "counter":
			counter := proxywasm.DefineCounterMetric(name)
			change = func(by int64) { counter.Increment(uint64(by)) }
		case "gauge":
			gauge := proxywasm.DefineGaugeMetric(name)
			change = func(value int64) { gauge.Add(value - gauge.Value()) }
		case "histogram":
			histogram := proxywasm.DefineHistogramMetric(name)
			change = func(value int64) { histogram.Record(uint64(value)) }
		}
		s.plugin.metrics[name] = change
	}
	change(by)
}

func (s *scope) surroundings(o op) {
	switch o.name {
	case "log":
		level, text := o.pair()
		log := map[string]func(string){
			"trace": proxywasm.LogTrace, "debug": proxywasm.LogDebug, "info": proxywasm.LogInfo,
			"warn": proxywasm.LogWarn, "error": proxywasm.LogError, "critical": proxywasm.LogCritical,
		}
		log[level](text)
	case "done":
		proxywasm.PluginDone()
	case "tick":
		var period uint32
		o.into(&period)
		check(proxywasm.SetTickPeriodMilliSeconds(period))
	case "vm_config":
		s.tell(o.text(), string(s.plugin.vm.config))
	case "plugin_config":
		s.tell(o.text(), string(s.plugin.config))
	case "env":
		name, to := o.pair()
		value, set := os.LookupEnv(name)
		if !set {
			value = "-"
		}
		s.tell(to, value)
	default:
		panic("unknown operation " + o.name)
	}
}

func (s *scope) call(o op) {
	call := callout{Path: "/", Method: "GET", TimeoutMs: 5000}
	o.into(&call)
	headers := append([][2]string{{":method", call.Method}, {":path", call.Path}, {":authority", "callout.test"}}, call.Headers...)
	stream := s.stream
	_, err := proxywasm.DispatchHttpCall(call.Upstream, headers, []byte(call.Body), nil, call.TimeoutMs, stream.answered)
	switch {
	case err == nil:
		stream.calls++
	case call.Refused != "":
		s.tell(call.Refused, err.Error())
	default:
		proxywasm.LogWarnf("callout refused: %v", err)
	}
}

func (s *scope) body() []byte {
	body, err := s.visible().get(0, math.MaxInt32)
	if err == types.ErrorStatusNotFound {
		return nil
	}
	check(err)
	return body
}

func (s *scope) tell(name, value string) {
	if s.plugin.script.Tcp {
		proxywasm.LogInfo(name + "=" + value)
		return
	}
	check(s.headers.replace(name, value))
}

type reply struct {
	Status  uint32      `json:"status"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
}

func (r reply) send() step {
	check(proxywasm.SendHttpResponse(r.Status, r.Headers, []byte(r.Body), -1))
	return paused
}

type callout struct {
	Upstream  string      `json:"upstream"`
	Path      string      `json:"path"`
	Method    string      `json:"method"`
	Headers   [][2]string `json:"headers"`
	Body      string      `json:"body"`
	TimeoutMs uint32      `json:"timeout_ms"`
	Refused   string      `json:"refused"`
}

func (o op) into(target any) {
	if err := json.Unmarshal(o.args, target); err != nil {
		panic(fmt.Sprintf("arguments of %s: %v", o.name, err))
	}
}

func (o op) text() string {
	var text string
	o.into(&text)
	return text
}

func (o op) pair() (string, string) {
	var pair [2]string
	o.into(&pair)
	return pair[0], pair[1]
}

func (o op) branch() (string, []op) {
	var value string
	var ops []op
	o.into(&[]any{&value, &ops})
	return value, ops
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
