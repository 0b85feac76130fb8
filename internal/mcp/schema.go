package mcp

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/pyth-on/pyth-on/client"
)

// properties contains the fields of a schema by name.
type properties = map[string]*jsonschema.Schema

// call is one call of a tool. The method "watch" reports the progress of the call.
type call struct {
	*client.Client
	request *sdk.CallToolRequest
}

// tool defines a tool. Input and Output are structs. The tags "jsonschema" of their
// fields contain the descriptions of the fields.
type tool[Input, Output any] struct {
	*sdk.Tool

	// The function "limits" adds limits to the fields of the input, so that a client can
	// refuse wrong calls. It is nil if there are no limits.
	limits func(properties)
	run    func(context.Context, *call, *Input) (*sdk.CallToolResult, *Output, error)
}

// add adds a tool to the server.
func add[Input, Output any](s *Server, t tool[Input, Output]) {
	input, output := schemaOf[Input](), schemaOf[Output]()
	// Answers may get new fields. A client must not refuse these fields.
	output.AdditionalProperties = nil
	if slices.Contains(input.Required, "session_id") {
		lengths(input.Properties["session_id"], 128)
	}
	if t.limits != nil {
		t.limits(input.Properties)
	}
	t.InputSchema, t.OutputSchema = input, output
	sdk.AddTool(s.sdk, t.Tool, func(ctx context.Context, r *sdk.CallToolRequest, in Input) (*sdk.CallToolResult, *Output, error) {
		c, err := s.clients(ctx)
		if err != nil {
			return nil, nil, err
		}
		result, out, err := t.run(ctx, &call{Client: c, request: r}, &in)
		if err != nil {
			return nil, nil, explain(err)
		}
		return result, out, nil
	})
}

// schemaOf returns the schema of a struct. It panics if the type has no schema, which is
// a mistake in this package.
func schemaOf[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](nil)
	if err != nil {
		panic(fmt.Errorf("mcp: the schema of a tool: %w", err))
	}
	simplify(s)
	return s
}

// simplify removes the type null from all fields. Go marshals nil slices and pointers as
// null, but the fields of the tools are absent instead. Several clients and models do
// not support fields with two types.
func simplify(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if i := slices.Index(s.Types, "null"); i >= 0 && len(s.Types) == 2 {
		s.Type, s.Types = s.Types[1-i], nil
	}
	for _, p := range s.Properties {
		simplify(p)
	}
	simplify(s.Items)
}

// between limits a number.
func between(s *jsonschema.Schema, least, most float64) {
	s.Minimum, s.Maximum = &least, &most
}

// oneOf limits a string to the given values.
func oneOf(s *jsonschema.Schema, values ...any) { s.Enum = values }

// lengths limits the number of characters of a string that must not be empty.
func lengths(s *jsonschema.Schema, most int) {
	least := 1
	s.MinLength, s.MaxLength = &least, &most
}
