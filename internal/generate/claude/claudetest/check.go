package claudetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// call contains the fields of a request body that the fake server knows.
type call struct {
	Model        string                 `json:"model"`
	MaxTokens    int64                  `json:"max_tokens"`
	Stream       bool                   `json:"stream"`
	System       []block                `json:"system"`
	Messages     []message              `json:"messages"`
	CacheControl *cacheControl          `json:"cache_control"`
	Tools        []tool                 `json:"tools"`
	ToolChoice   *toolChoice            `json:"tool_choice"`
	Thinking     *struct{ Type string } `json:"thinking"`
	OutputConfig *outputConfig          `json:"output_config"`
}

type (
	cacheControl struct {
		Type string `json:"type"`
		TTL  string `json:"ttl"`
	}
	message struct {
		Role    string  `json:"role"`
		Content []block `json:"content"`
	}
	block struct {
		Type         string          `json:"type"`
		Text         string          `json:"text"`
		ID           string          `json:"id"`
		Name         string          `json:"name"`
		Input        json.RawMessage `json:"input"`
		ToolUseID    string          `json:"tool_use_id"`
		IsError      bool            `json:"is_error"`
		Content      []block         `json:"content"`
		CacheControl *cacheControl   `json:"cache_control"`
	}
	tool struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		InputSchema schema `json:"input_schema"`
	}
	toolChoice struct {
		Type                   string `json:"type"`
		Name                   string `json:"name"`
		DisableParallelToolUse bool   `json:"disable_parallel_tool_use"`
	}
	outputConfig struct {
		Format *struct {
			Type   string `json:"type"`
			Schema schema `json:"schema"`
		} `json:"format"`
	}
	schema struct {
		Type                 string          `json:"type"`
		Properties           json.RawMessage `json:"properties"`
		Required             []string        `json:"required"`
		AdditionalProperties *bool           `json:"additionalProperties"`
	}
)

// check validates a request. It returns the status, type and message of the error that
// the real API would return. The status is 0 if the request is valid.
func check(r *http.Request, body []byte) (status int, kind, message string) {
	invalid := func(message string) (int, string, string) {
		return http.StatusBadRequest, "invalid_request_error", message
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/messages":
		return http.StatusNotFound, "not_found_error", "Not found"
	case r.Header.Get("X-Api-Key") != Key:
		return http.StatusUnauthorized, "authentication_error", "invalid x-api-key"
	case r.Header.Get("Anthropic-Version") != "2023-06-01":
		return invalid("anthropic-version: header is required")
	case r.Header.Get("Content-Type") != "application/json":
		return invalid("content-type: must be application/json")
	}
	c := new(call)
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(c); err != nil {
		return invalid(err.Error())
	}
	if c.Model != Model && c.Model != OldModel {
		return http.StatusNotFound, "not_found_error", "model: " + c.Model
	}
	if fault := cmp.Or(c.formFault(), c.messagesFault()); fault != "" {
		return invalid(fault)
	}
	return 0, "", ""
}

// formFault returns the error of the API about invalid schemas, tools or tool choice. It
// returns "" if all of them are valid.
func (c *call) formFault() string {
	var schemas []schema
	for _, t := range c.Tools {
		schemas = append(schemas, t.InputSchema)
	}
	if c.OutputConfig != nil && c.OutputConfig.Format != nil {
		schemas = append(schemas, c.OutputConfig.Format.Schema)
		if c.OutputConfig.Format.Type != "json_schema" {
			return "output_config.format.type: must be json_schema"
		}
	}
	for _, s := range schemas {
		if s.Type != "object" || len(s.Properties) == 0 || s.AdditionalProperties == nil || *s.AdditionalProperties {
			return "schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
		}
	}
	forced := c.ToolChoice != nil && (c.ToolChoice.Type == "tool" || c.ToolChoice.Type == "any")
	disabled := c.Thinking != nil && c.Thinking.Type == "disabled"
	switch {
	case len(schemas) != 1:
		return "exactly one of a schema and a tool is required"
	case forced && c.Model == Model:
		return `tool_choice: type "tool" and "any" are not supported for this model.`
	case disabled && c.Model == Model:
		return "thinking: type \"disabled\" is not supported for this model; use \"between_tools\""
	case forced && !disabled:
		return "Thinking may not be enabled when tool_choice forces tool use."
	case forced && !slices.ContainsFunc(c.Tools, func(t tool) bool { return t.Name == c.ToolChoice.Name }):
		return "tool_choice.name: is not among tools"
	case c.MaxTokens < 1 || c.MaxTokens > 64_000:
		return "max_tokens: out of range"
	}
	return ""
}

// messagesFault returns the error of the API about invalid messages. It returns "" if the
// messages are valid.
func (c *call) messagesFault() string {
	if len(c.Messages) == 0 {
		return "messages: at least one message is required"
	}
	used := ""
	for i, m := range c.Messages {
		if want := []string{"user", "assistant"}[i%2]; m.Role != want {
			return "messages: roles must alternate, from user on"
		}
		if len(m.Content) == 0 {
			return "messages: content must not be empty"
		}
		for _, b := range m.Content {
			switch {
			case b.Type == "text" && strings.TrimSpace(b.Text) == "":
				return "messages: text content blocks must contain non-whitespace text"
			case b.Type == "tool_result" && b.ToolUseID != used:
				return "messages: unexpected `tool_use_id` found in `tool_result` blocks"
			case b.Type != "tool_result" && used != "":
				return "messages: `tool_use` ids were found without `tool_result` blocks immediately after"
			}
			if used = ""; b.Type == "tool_use" {
				used = b.ID
			}
		}
	}
	if c.Messages[len(c.Messages)-1].Role != "user" {
		return "This model does not support assistant message prefill."
	}
	return ""
}
