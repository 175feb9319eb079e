package main

import (
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

// headerMap is one of the SDK's four families of header functions.
type headerMap struct {
	all     func() ([][2]string, error)
	set     func([][2]string) error
	get     func(string) (string, error)
	add     func(string, string) error
	replace func(string, string) error
	remove  func(string) error
}

var (
	requestHeaders = headerMap{
		proxywasm.GetHttpRequestHeaders, proxywasm.ReplaceHttpRequestHeaders, proxywasm.GetHttpRequestHeader,
		proxywasm.AddHttpRequestHeader, proxywasm.ReplaceHttpRequestHeader, proxywasm.RemoveHttpRequestHeader,
	}
	requestTrailers = headerMap{
		proxywasm.GetHttpRequestTrailers, proxywasm.ReplaceHttpRequestTrailers, proxywasm.GetHttpRequestTrailer,
		proxywasm.AddHttpRequestTrailer, proxywasm.ReplaceHttpRequestTrailer, proxywasm.RemoveHttpRequestTrailer,
	}
	responseHeaders = headerMap{
		proxywasm.GetHttpResponseHeaders, proxywasm.ReplaceHttpResponseHeaders, proxywasm.GetHttpResponseHeader,
		proxywasm.AddHttpResponseHeader, proxywasm.ReplaceHttpResponseHeader, proxywasm.RemoveHttpResponseHeader,
	}
	responseTrailers = headerMap{
		proxywasm.GetHttpResponseTrailers, proxywasm.ReplaceHttpResponseTrailers, proxywasm.GetHttpResponseTrailer,
		proxywasm.AddHttpResponseTrailer, proxywasm.ReplaceHttpResponseTrailer, proxywasm.RemoveHttpResponseTrailer,
	}
	maps = map[string]headerMap{
		"request_headers": requestHeaders, "request_trailers": requestTrailers,
		"response_headers": responseHeaders, "response_trailers": responseTrailers,
	}
)

func (s *scope) changeHeaders(o op) {
	switch o.name {
	case "map":
		s.headers = maps[o.text()]
	case "add":
		name, value := o.pair()
		check(s.headers.add(name, value))
	case "set":
		s.tell(o.pair())
	case "remove":
		check(s.headers.remove(o.text()))
	case "set_all":
		var pairs [][2]string
		o.into(&pairs)
		check(s.headers.set(pairs))
	case "copy":
		from, to := o.pair()
		value, err := s.headers.get(from)
		if err == types.ErrorStatusNotFound {
			value = "-"
		} else {
			check(err)
		}
		s.tell(to, value)
	case "list":
		name, to := o.pair()
		s.tell(to, strings.Join(values(s.pairs(), name), "|"))
	case "count":
		s.tell(o.text(), strconv.Itoa(len(s.pairs())))
	case "bad_header":
		s.tell("x-bad", "a\r\nx-injected: b")
	}
}

func (s *scope) pairs() [][2]string {
	pairs, err := s.headers.all()
	check(err)
	return pairs
}

func values(pairs [][2]string, name string) []string {
	var values []string
	for _, pair := range pairs {
		if pair[0] == name {
			values = append(values, pair[1])
		}
	}
	return values
}

func first(pairs [][2]string, name, otherwise string) string {
	if values := values(pairs, name); len(values) > 0 {
		return values[0]
	}
	return otherwise
}
