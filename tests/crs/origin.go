package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
)

// The response that the body of a POST to /reflect describes.
type description struct {
	Status      int               `json:"status"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
	EncodedBody string            `json:"encodedBody"`
}

// startOrigin serves what the suite expects of an origin, and answers its address.
func startOrigin() (string, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reflect", reflect)
	mux.HandleFunc("POST /reflect/", reflect)
	// Everything else is an empty 200.
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	go http.Serve(socket, mux)
	return socket.Addr().String(), nil
}

func reflect(w http.ResponseWriter, r *http.Request) {
	var wanted description
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &wanted)
	}
	content := []byte(wanted.Body)
	if err == nil && len(content) == 0 {
		content, err = base64.StdEncoding.DecodeString(wanted.EncodedBody)
	}
	if wanted.Status == 0 {
		wanted.Status = http.StatusOK
	}
	if err != nil || wanted.Status < 100 || wanted.Status > 599 {
		http.Error(w, "no description of a response", http.StatusBadRequest)
		return
	}
	for name, value := range wanted.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(wanted.Status)
	w.Write(content)
}
