package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v3"
)

// OpenAPI is the contract of the HTTP surface, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// OpenAPIJSON is the same in JSON, for tools that read nothing else.
var OpenAPIJSON = sync.OnceValue(func() []byte {
	var doc map[string]any
	err := yaml.Unmarshal(OpenAPI, &doc)
	var text []byte
	if err == nil {
		text, err = json.MarshalIndent(doc, "", "  ")
	}
	if err != nil {
		panic(fmt.Sprintf("schema: openapi.yaml: %v", err)) // it is part of the program
	}
	return append(text, '\n')
})
