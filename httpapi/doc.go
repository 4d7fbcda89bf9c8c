// Package httpapi is the HTTP API. A handler decodes the request, calls a command or
// reads a view, and encodes the answer; it contains no rule of the ledger. Its contract
// is schema/openapi.yaml.
package httpapi
