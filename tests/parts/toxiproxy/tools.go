//go:build tools

// Package tools names the program that `go build` builds here.
package tools

import _ "github.com/Shopify/toxiproxy/v2/cmd/server"
