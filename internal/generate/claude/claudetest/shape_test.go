package claudetest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"

	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

// The function "conforms" checks whether a raw JSON object matches a type of the SDK. The
// object must have all required fields and no unknown fields.
func conforms(t *testing.T, raw json.RawMessage, of reflect.Type) {
	t.Helper()
	var have map[string]json.RawMessage
	if err := json.Unmarshal(raw, &have); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(of) {
		tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "" || tag == "-" {
			continue
		}
		known[tag] = true
		required := f.Tag.Get("api") == "required" || f.Tag.Get("default") != "" || strings.Contains(rest, "required")
		value, given := have[tag]
		if required && !given {
			t.Errorf("%s lacks %s: %s", of, tag, raw)
		}
		if given && f.Type.Kind() == reflect.Struct && string(value) != "null" && !strings.HasSuffix(f.Type.Name(), "Union") {
			conforms(t, value, f.Type)
		}
	}
	for name := range have {
		if !known[name] {
			t.Errorf("%s has no %s: %s", of, name, raw)
		}
	}
}

func ask(t *testing.T, s *claudetest.Server, stream bool, model string) []byte {
	t.Helper()
	form := `"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"code":{"type":"string"}},"required":["code"],"additionalProperties":false}}}`
	if model == claudetest.OldModel {
		form = `"tools":[{"name":"f","input_schema":{"type":"object","properties":{"code":{"type":"string"}},"required":["code"],"additionalProperties":false}}],"tool_choice":{"type":"tool","name":"f"},"thinking":{"type":"disabled"}`
	}
	body := `{"model":"` + model + `","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],` + form
	if stream {
		body += `,"stream":true`
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/messages", strings.NewReader(body+"}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"X-Api-Key": {claudetest.Key}, "Anthropic-Version": {"2023-06-01"}, "Content-Type": {"application/json"}}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var blocks = map[string]reflect.Type{
	"text": reflect.TypeFor[anthropic.TextBlock](), "thinking": reflect.TypeFor[anthropic.ThinkingBlock](),
	"tool_use": reflect.TypeFor[anthropic.ToolUseBlock](),
}

func typeOf(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v struct{ Type string }
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v.Type
}

func TestMessagesHaveTheSDKsShape(t *testing.T) {
	for _, model := range []string{claudetest.Model, claudetest.OldModel} {
		for name, step := range map[string]claudetest.Step{"a program": claudetest.Program("é", "1"), "a refusal": claudetest.Refusal()} {
			s, err := claudetest.Start(step)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			t.Run(model+" answers with "+name, func(t *testing.T) {
				raw := ask(t, s, false, model)
				conforms(t, raw, reflect.TypeFor[anthropic.Message]())
				var m struct{ Content []json.RawMessage }
				if err := json.Unmarshal(raw, &m); err != nil {
					t.Fatal(err)
				}
				for _, b := range m.Content {
					conforms(t, b, blocks[typeOf(t, b)])
				}
			})
			t.Run(model+" streams "+name, func(t *testing.T) { streams(t, ask(t, s, true, model)) })
		}
	}
}

var events = map[string]reflect.Type{
	"message_start": reflect.TypeFor[anthropic.MessageStartEvent](), "message_delta": reflect.TypeFor[anthropic.MessageDeltaEvent](),
	"message_stop": reflect.TypeFor[anthropic.MessageStopEvent](), "content_block_start": reflect.TypeFor[anthropic.ContentBlockStartEvent](),
	"content_block_delta": reflect.TypeFor[anthropic.ContentBlockDeltaEvent](), "content_block_stop": reflect.TypeFor[anthropic.ContentBlockStopEvent](),
}

var deltas = map[string]reflect.Type{
	"text_delta": reflect.TypeFor[anthropic.TextDelta](), "input_json_delta": reflect.TypeFor[anthropic.InputJSONDelta](),
	"signature_delta": reflect.TypeFor[anthropic.SignatureDelta](),
}

func streams(t *testing.T, body []byte) {
	t.Helper()
	var names []string
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		name := typeOf(t, json.RawMessage(data))
		names = append(names, name)
		if name == "ping" {
			continue
		}
		conforms(t, json.RawMessage(data), events[name])
		var e struct {
			Delta        json.RawMessage
			ContentBlock json.RawMessage `json:"content_block"`
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatal(err)
		}
		if name == "content_block_delta" {
			conforms(t, e.Delta, deltas[typeOf(t, e.Delta)])
		}
		if name == "content_block_start" {
			conforms(t, e.ContentBlock, blocks[typeOf(t, e.ContentBlock)])
		}
	}
	if len(names) < 4 || names[0] != "message_start" || names[len(names)-1] != "message_stop" {
		t.Errorf("got %v", names)
	}
}

func TestErrorsHaveTheSDKsShape(t *testing.T) {
	s, err := claudetest.Start(claudetest.Overloaded())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	raw := ask(t, s, false, claudetest.Model)
	conforms(t, raw, reflect.TypeFor[anthropic.ErrorResponse]())
	var e struct{ Error json.RawMessage }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	conforms(t, e.Error, reflect.TypeFor[anthropic.OverloadedError]())
}
