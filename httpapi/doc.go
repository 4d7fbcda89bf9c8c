// Package httpapi is the HTTP surface. A handler decodes, calls a command or
// asks a view, and encodes; no rule of the ledger lives here. schema/openapi.yaml
// is its contract.
package httpapi
