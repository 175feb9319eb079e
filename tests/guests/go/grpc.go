package main

import (
	"encoding/binary"
	"strconv"
	"unsafe"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
)

// The SDK has no gRPC: these are the functions of the ABI themselves.

//go:wasmimport env proxy_grpc_call
func proxyGrpcCall(upstream, service, method string, metadata *byte, metadataSize uint32, message string, timeoutMs uint32, token *uint32) uint32

//go:wasmimport env proxy_get_buffer_bytes
func proxyGetBufferBytes(buffer, start, sizeMax uint32, data unsafe.Pointer, size *uint32) uint32

//go:wasmimport env proxy_get_status
func proxyGetStatus(code *uint32, text unsafe.Pointer, size *uint32) uint32

const grpcMessage = 5

// Streams that wait for the answer to a call, by its token.
var asking = map[uint32]*stream{}

//go:wasmexport proxy_on_grpc_receive
func proxyOnGrpcReceive(_, token, size uint32) { grpcAnswer(token, int(size)) }

// Of a call that failed.
//
//go:wasmexport proxy_on_grpc_close
func proxyOnGrpcClose(_, token, _ uint32) { grpcAnswer(token, 0) }

func grpcAnswer(token uint32, size int) {
	s, waits := asking[token]
	delete(asking, token)
	if waits && !s.done && proxywasm.SetEffectiveContext(s.id) == nil {
		s.run("grpc_answer", size, true)
	}
}

type grpcCall struct {
	Upstream  string      `json:"upstream"`
	Service   string      `json:"service"`
	Method    string      `json:"method"`
	Metadata  [][2]string `json:"metadata"`
	Message   string      `json:"message"`
	TimeoutMs uint32      `json:"timeout_ms"`
}

func (s *scope) grpc(o op) {
	switch o.name {
	case "grpc_call":
		call := grpcCall{TimeoutMs: 5000}
		o.into(&call)
		metadata := pairs(call.Metadata)
		var token uint32
		status := proxyGrpcCall(call.Upstream, call.Service, call.Method, unsafe.SliceData(metadata), uint32(len(metadata)), call.Message, call.TimeoutMs, &token)
		if status != 0 {
			proxywasm.LogWarnf("gRPC callout refused: %d", status)
			return
		}
		asking[token] = s.stream
	case "grpc_message":
		var data *byte
		var size uint32
		// NotFound: the call has failed.
		proxyGetBufferBytes(grpcMessage, 0, 1<<30, unsafe.Pointer(&data), &size)
		s.tell(o.text(), unsafe.String(data, size))
	case "grpc_status":
		var text *byte
		var code, size uint32
		if proxyGetStatus(&code, unsafe.Pointer(&text), &size) != 0 {
			panic("no status")
		}
		s.tell(o.text(), strconv.Itoa(int(code))+" "+unsafe.String(text, size))
	}
}

// pairs encodes a map as the ABI has it.
func pairs(list [][2]string) []byte {
	encoded := binary.LittleEndian.AppendUint32(nil, uint32(len(list)))
	for _, pair := range list {
		for _, text := range pair {
			encoded = binary.LittleEndian.AppendUint32(encoded, uint32(len(text)))
		}
	}
	for _, pair := range list {
		for _, text := range pair {
			encoded = append(append(encoded, text...), 0)
		}
	}
	return encoded
}
