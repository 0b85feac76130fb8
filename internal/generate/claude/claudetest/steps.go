package claudetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The token usage that the server reports in each response.
const (
	InputTokens      = 300
	CacheReadTokens  = 1200
	CacheWriteTokens = 100
	OutputTokens     = 200
)

// Program returns a Step that answers with a program in the format that the request
// requires.
func Program(explanation, code string) Step {
	b, err := json.Marshal(struct {
		Explanation string `json:"explanation"`
		Code        string `json:"code"`
	}{explanation, code})
	if err != nil {
		panic(err)
	}
	return Content(string(b))
}

// Content returns a Step that answers with the given content. It does not change the
// content, even if the format is wrong.
func Content(content string) Step { return func(x *exchange) { x.answer(content, x.reason()) } }

// Refusal returns a Step that answers with the stop reason "refusal".
func Refusal() Step { return func(x *exchange) { x.answer("", "refusal") } }

// CutOff returns a Step that answers with truncated content, as the API does at the token
// limit.
func CutOff(content string) Step { return func(x *exchange) { x.answer(content, "max_tokens") } }

// Failure returns a Step that answers with an API error of the given type. The
// parameter "headers" contains names and values alternately.
func Failure(status int, kind, message string, headers ...string) Step {
	return func(x *exchange) {
		for i := 0; i+1 < len(headers); i += 2 {
			x.w.Header().Set(headers[i], headers[i+1])
		}
		x.fail(status, kind, message)
	}
}

// Overloaded returns a Step that answers with the API's error for an overloaded server.
func Overloaded() Step { return Failure(529, "overloaded_error", "Overloaded", "Retry-After", "0.01") }

// RateLimited returns a Step that answers with a rate limit error. The header Retry-After
// contains the time to wait.
func RateLimited(wait time.Duration) Step {
	return Failure(http.StatusTooManyRequests, "rate_limit_error",
		"This request would exceed the rate limit for your organization", "Retry-After", fmt.Sprint(wait.Seconds()))
}

// Raw returns a Step that answers with any status, media type and body.
func Raw(status int, mediaType, body string) Step {
	return func(x *exchange) {
		x.w.Header().Set("Content-Type", mediaType)
		x.w.WriteHeader(status)
		_, _ = x.w.Write([]byte(body))
	}
}

// Redirect returns a Step that redirects the client to another URL.
func Redirect(to string) Step {
	return func(x *exchange) { http.Redirect(x.w, x.r, to, http.StatusTemporaryRedirect) }
}

// Hang returns a Step that sends no response. The Step waits until the client cancels
// the request.
func Hang() Step { return func(x *exchange) { x.hang() } }

// HangWithin returns a Step that streams the content. Then it waits until the client
// cancels the request.
func HangWithin(content string) Step {
	return func(x *exchange) {
		x.begin()
		x.delta(content)
		x.hang()
	}
}

// Drop returns a Step that closes the connection before the end of the response. In
// streaming mode, it sends the content first.
func Drop(content string) Step {
	return func(x *exchange) {
		if x.call.Stream {
			x.begin()
			x.delta(content)
		} else {
			x.w.Header().Set("Content-Length", "1000")
			x.write(x.message("", "end_turn"))
			_ = http.NewResponseController(x.w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

// BreakOff returns a Step that streams the content. Then it sends an error event instead
// of the end of the message. Without streaming, it responds with status 500.
func BreakOff(content, kind, message string) Step {
	return func(x *exchange) {
		if !x.call.Stream {
			x.fail(http.StatusInternalServerError, kind, message)
			return
		}
		x.begin()
		x.delta(content)
		x.event("error", errorBody(kind, message, x.id))
	}
}

// reason returns the stop reason of a complete answer in the required format.
func (x *exchange) reason() string {
	if x.byTool() {
		return "tool_use"
	}
	return "end_turn"
}

func (x *exchange) byTool() bool { return len(x.call.Tools) > 0 }

func (x *exchange) answer(content, reason string) {
	if !x.call.Stream {
		x.w.Header().Set("Content-Type", "application/json")
		x.write(x.message(content, reason))
		return
	}
	x.begin()
	x.delta(content)
	x.end(reason)
}

// message returns the body of a response that is not a stream.
func (x *exchange) message(content, reason string) any {
	blocks := []any{}
	switch {
	case content == "":
	case x.byTool():
		input := json.RawMessage(content)
		if !json.Valid(input) {
			input, _ = json.Marshal(content) // A string can always be marshaled.
		}
		blocks = append(blocks, map[string]any{"type": "tool_use", "id": "toolu_01A", "name": x.call.Tools[0].Name, "input": input, "caller": map[string]any{"type": "direct"}})
	default:
		blocks = append(blocks,
			map[string]any{"type": "thinking", "thinking": "", "signature": "c2lnbmF0dXJl"},
			map[string]any{"type": "text", "text": content, "citations": nil})
	}
	return x.envelope(blocks, reason, OutputTokens)
}

func (x *exchange) envelope(content []any, reason any, output int) any {
	return map[string]any{
		"id": "msg_01" + x.id[len("req_"):], "type": "message", "role": "assistant", "model": x.call.Model, "container": nil,
		"content": content, "stop_reason": reason, "stop_sequence": nil, "stop_details": details(reason),
		"diagnostics": nil,
		"usage": map[string]any{
			"input_tokens": InputTokens, "cache_read_input_tokens": CacheReadTokens,
			"cache_creation_input_tokens": CacheWriteTokens, "output_tokens": output,
			"cache_creation":        map[string]any{"ephemeral_5m_input_tokens": CacheWriteTokens, "ephemeral_1h_input_tokens": 0},
			"output_tokens_details": map[string]any{"thinking_tokens": 0},
			"server_tool_use":       nil, "service_tier": "standard", "inference_geo": "global", "speed": "standard",
		},
	}
}

func details(reason any) any {
	if reason != "refusal" {
		return nil
	}
	return map[string]any{"type": "refusal", "category": "cyber", "explanation": "This request was declined."}
}

// begin sends the first events of a stream, up to the start of the content block.
func (x *exchange) begin() {
	x.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	x.event("message_start", map[string]any{"type": "message_start", "message": x.envelope([]any{}, nil, 1)})
	x.event("ping", map[string]any{"type": "ping"})
	block := map[string]any{"type": "tool_use", "id": "toolu_01A", "name": "", "input": map[string]any{}, "caller": map[string]any{"type": "direct"}}
	if x.byTool() {
		block["name"] = x.call.Tools[0].Name
	} else {
		x.event("content_block_start", map[string]any{"type": "content_block_start", "index": 0, "content_block": map[string]any{"type": "thinking", "thinking": "", "signature": ""}})
		x.event("content_block_delta", map[string]any{"type": "content_block_delta", "index": 0, "delta": map[string]any{"type": "signature_delta", "signature": "c2lnbmF0dXJl"}})
		x.event("content_block_stop", map[string]any{"type": "content_block_stop", "index": 0})
		block = map[string]any{"type": "text", "text": "", "citations": nil}
	}
	x.event("content_block_start", map[string]any{"type": "content_block_start", "index": x.index(), "content_block": block})
}

func (x *exchange) index() int {
	if x.byTool() {
		return 0
	}
	return 1
}

const deltaCharacters = 7

// delta streams the content in delta events. Each event has deltaCharacters
// characters.
func (x *exchange) delta(content string) {
	runes := []rune(content)
	for len(runes) > 0 {
		n := min(deltaCharacters, len(runes))
		delta := map[string]any{"type": "text_delta", "text": string(runes[:n])}
		if x.byTool() {
			delta = map[string]any{"type": "input_json_delta", "partial_json": string(runes[:n])}
		}
		x.event("content_block_delta", map[string]any{"type": "content_block_delta", "index": x.index(), "delta": delta})
		runes = runes[n:]
	}
}

func (x *exchange) end(reason string) {
	x.event("content_block_stop", map[string]any{"type": "content_block_stop", "index": x.index()})
	x.event("message_delta", map[string]any{
		"type":  "message_delta",
		"delta": map[string]any{"stop_reason": reason, "stop_sequence": nil, "stop_details": details(reason), "container": nil},
		"usage": map[string]any{
			"input_tokens": InputTokens, "cache_read_input_tokens": CacheReadTokens, "cache_creation_input_tokens": CacheWriteTokens,
			"output_tokens": OutputTokens, "output_tokens_details": map[string]any{"thinking_tokens": 0}, "server_tool_use": nil,
		},
	})
	x.event("message_stop", map[string]any{"type": "message_stop"})
}

func (x *exchange) event(name string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintf(x.w, "event: %s\ndata: %s\n\n", name, b)
	_ = http.NewResponseController(x.w).Flush()
}
