package schema

import _ "embed"

// OpenAPI is the contract of the HTTP surface, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
