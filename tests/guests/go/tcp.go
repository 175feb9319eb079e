package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// connection is one TCP connection, seen by one plugin.
type connection struct {
	stream
}

func (c *connection) OnNewConnection() types.Action {
	return c.run("new_connection", 0, false)
}

func (c *connection) OnDownstreamData(size int, end bool) types.Action {
	c.response = false
	return c.run("downstream_data", size, end)
}

func (c *connection) OnUpstreamData(size int, end bool) types.Action {
	c.response = true
	return c.run("upstream_data", size, end)
}

func (c *connection) OnDownstreamClose(peer types.PeerType) {
	c.run("downstream_close", int(peer), true)
}

func (c *connection) OnUpstreamClose(peer types.PeerType) {
	c.run("upstream_close", int(peer), true)
}

func (c *connection) OnStreamDone() {
	c.run("done", 0, true)
	c.done = true
}

// data is one of the SDK's families of functions for the bytes that are visible.
type data struct {
	get                      func(start, size int) ([]byte, error)
	replace, prepend, append func([]byte) error
}

// visible says which bytes the callback is about.
func (s *scope) visible() data {
	switch {
	case s.plugin.script.Tcp && s.response:
		return data{proxywasm.GetUpstreamData, proxywasm.ReplaceUpstreamData, proxywasm.PrependUpstreamData, proxywasm.AppendUpstreamData}
	case s.plugin.script.Tcp:
		return data{proxywasm.GetDownstreamData, proxywasm.ReplaceDownstreamData, proxywasm.PrependDownstreamData, proxywasm.AppendDownstreamData}
	case s.response:
		return data{proxywasm.GetHttpResponseBody, proxywasm.ReplaceHttpResponseBody, proxywasm.PrependHttpResponseBody, proxywasm.AppendHttpResponseBody}
	default:
		return data{proxywasm.GetHttpRequestBody, proxywasm.ReplaceHttpRequestBody, proxywasm.PrependHttpRequestBody, proxywasm.AppendHttpRequestBody}
	}
}

// shut closes a direction of a connection; the SDK has no such function for exchanges.
func (o op) shut() {
	if o.text() == "response" {
		check(proxywasm.CloseUpstream())
	} else {
		check(proxywasm.CloseDownstream())
	}
}
