package main

import (
	"fmt"
	"strings"
)

// A case is a request, as sent over and over on one connection, and the status it must be answered with.
type request struct {
	Name    string
	Bytes   []byte
	Refused bool
}

const browser = "Host: shop.example\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Referer: https://shop.example/products?page=1\r\n" +
	"Cookie: session=3f2b8c1e9a7d4e60b5a1c2d3e4f50617; theme=dark; consent=1\r\n"

// Leaves of the JSON body: 22 objects of five members.
const (
	objects   = 22
	jsonBytes = 2043
)

func requests() []request {
	get := func(target string) []byte {
		return []byte("GET " + target + " HTTP/1.1\r\n" + browser + "\r\n")
	}
	body := jsonBody()
	post := fmt.Sprintf("POST /api/orders HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		browser, len(body), body)
	return []request{
		{"GET benign", get("/products/42?ref=newsletter&utm_source=spring&page=2&sort=price"), false},
		{"POST JSON 2043 B", []byte(post), false},
		{"GET attack", get("/search?q=1%27%20UNION%20SELECT%20password%20FROM%20users--%20"), true},
	}
}

// jsonBody has 110 values and exactly 2,043 bytes.
func jsonBody() string {
	var items []string
	for index := range objects {
		items = append(items, fmt.Sprintf(
			`{"id":%d,"name":"item number %d","quantity":%d,"colour":"blue","price":%d}`,
			1000+index, index, index%7+1, 100+index))
	}
	text := `{"items":[` + strings.Join(items, ",") + "]}"
	// The rest goes into the first name.
	const name = `"item number 0`
	padding := strings.Repeat("s", max(0, jsonBytes-len(text)))
	return strings.Replace(text, name, name+padding, 1)
}
