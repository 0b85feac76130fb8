package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// jsonResults contains programs that show JSON values. Some parsers reject these
// values. The field "kept" is true if the answer must contain the value as JSON.
var jsonResults = []struct {
	name, language, code string
	kept                 bool
}{
	{"names that are equal as text", "python", "from pyth_on.display import JSON\ndisplay(JSON({True: 1, 'true': 2}))", false},
	{"names that are equal when written", "python", "class T:\n    def _repr_mimebundle_(self, **_):\n        return {'application/vnd.x+json': __import__('json').loads('{\"a\": 1}'), 'text/plain': 'T'}\n" +
		"display(T())", true},
	{"a value of 60 levels", "python", "from pyth_on.display import JSON\nv = 1\nfor _ in range(60): v = [v]\ndisplay(JSON(v))", true},
	{"a value of 700 levels", "python", "from pyth_on.display import JSON\nv = 1\nfor _ in range(700): v = {'k': v}\ndisplay(JSON(v))", false},
	{"a number of 3,000 digits", "python", "from pyth_on.display import JSON\ndisplay(JSON([10 ** 2999]))", false},
	{"a number beyond a double", "python", "from pyth_on.display import JSON\ndisplay(JSON({'n': 10 ** 400}))", false},
	{"lone surrogates", "python", "from pyth_on.display import JSON\ndisplay(JSON({'a': '\\ud800', 'b': ['\\udfff']}))", true},
	{"lone surrogates in JavaScript", "javascript", "display({a: '\\ud800', b: ['\\udfff']})", true},
	{"a value of 400 levels in JavaScript", "javascript", "let v = 1\nfor (let i = 0; i < 400; i++) v = [v]\ndisplay({[Symbol.for('Jupyter.display')]: () => ({'application/json': v, 'text/plain': 'deep'})})", false},
	{"a value of 400 levels in TypeScript", "typescript", "let v: any = 1\nfor (let i: number = 0; i < 400; i++) v = [v]\ndisplay({[Symbol.for('Jupyter.display')]: () => ({'application/json': v, 'text/plain': 'deep'})})", false},
}

// TestExecuteReturnsReadableJSONForAnyResult runs programs that show unusual JSON
// values. Each run must succeed, and common JSON parsers must accept the answer.
func TestExecuteReturnsReadableJSONForAnyResult(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for _, c := range jsonResults {
		t.Run(c.name, func(t *testing.T) {
			printing := "print('said')\n"
			if c.language != "python" {
				printing = "console.log('said')\n"
			}
			code := printing + c.code
			session := a.openSession(t, object{"language": c.language})
			for _, request := range []object{{"code": code, "language": c.language}, {"code": code, "sessionId": session.ID}} {
				answer := a.server.call(t, a, "POST", "/api/v1/execute", request).want(t, 200, nil)
				requireStrictJSON(t, answer.body, c.kept)
				if answer.body == nil || !strings.Contains(string(answer.body), `"said\n"`) {
					t.Errorf("got %.500s", answer.body)
				}
				end := a.openStream(t.Context(), t, request).readEnd(t)
				requireStrictJSON(t, end, c.kept)
			}
		})
	}
}

func (s *stream) readEnd(t testing.TB) []byte {
	t.Helper()
	for {
		e, ok := s.next(t)
		if !ok || e.name == "error" {
			t.Fatalf("the stream has no end event: %s", e.data)
		}
		if e.name == "end" {
			return e.data
		}
	}
}

// requireStrictJSON checks how deeply the JSON of the answer is nested, because some
// parsers limit the depth.
func requireStrictJSON(t *testing.T, body []byte, kept bool) {
	t.Helper()
	var x struct {
		execution
		ResultsSkipped []struct{ MediaType, Reason string }
	}
	if err := json.Unmarshal(body, &x); err != nil {
		t.Fatalf("%v in %.500s", err, body)
	}
	x.ends(t, "succeeded")
	depth, deepest := 0, 0
	for _, c := range string(body) {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	if deepest > 100 {
		t.Errorf("the answer is nested %d levels deep", deepest)
	}
	found := false
	for _, r := range x.Results {
		for media := range r {
			found = found || strings.HasSuffix(media, "json")
		}
	}
	if found != kept {
		t.Errorf("the result has JSON: %v, want %v: %.500s", found, kept, body)
	}
	if !kept && (len(x.ResultsSkipped) == 0 || !strings.HasSuffix(x.ResultsSkipped[0].MediaType, "json") || x.ResultsSkipped[0].Reason == "") {
		t.Errorf("no message that JSON is left out: %.500s", body)
	}
}
