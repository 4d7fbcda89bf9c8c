package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

// OpenAPI is the contract of the HTTP API, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// OpenAPIJSON is the same in JSON, for tools that read only JSON.
var OpenAPIJSON = sync.OnceValue(func() []byte {
	var doc map[string]any
	err := yaml.Unmarshal(OpenAPI, &doc)
	var text []byte
	if err == nil {
		text, err = json.MarshalIndent(doc, "", "  ")
	}
	if err != nil {
		panic(fmt.Sprintf("schema: openapi.yaml: %v", err)) // the file is embedded
	}
	return append(text, '\n')
})
