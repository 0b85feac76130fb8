package generate_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/generate/claude/claudetest"
)

// encoded returns the value in all encodings that a program may print. Base64 encodes
// groups of three bytes. So its output depends on the offset of the value in a group. The
// result contains one base64 text for each offset.
func encoded(value string) []string {
	escaped, _ := json.Marshal(value)
	base64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return []string{
		value, string(escaped[1 : len(escaped)-1]), hex.EncodeToString([]byte(value)), url.QueryEscape(value),
		base64(value), base64("x" + value + "yz"), base64("xx" + value + "y"),
	}
}

// traces returns texts that the model must not receive. These texts are the beginning of
// the value, the value in each encoding, and parts of the base64 texts. Each part depends
// only on the value, not on the bytes before and after the value.
func traces(value string) []string {
	all := encoded(value)
	for i := len(all) - 2; i < len(all); i++ {
		all[i] = all[i][4:12]
	}
	return append(all, value[:12])
}

func TestGenerateSendsNoSecretValues(t *testing.T) {
	values := secretStore{"TOKEN": "tok/en+of-the.canary", "QUOTED": "a \"quoted\"\nvälue", "LONG": strings.Repeat("0123456789abcdefg!", 30)}
	var shown strings.Builder
	for _, value := range values {
		for _, form := range encoded(value) {
			fmt.Fprintf(&shown, "<%s>\n", form)
		}
	}
	for _, where := range []string{"output", "prompt", "files", "file names", "session", "hosts", "package", "code", "cut output", "cut errors", "descriptions"} {
		for name, events := range map[string]pyth.GenerateEvents{"": nil, ", streamed": &listener{}} {
			t.Run("in "+where+name, func(t *testing.T) {
				r := newRig(t, claudetest.Program("explained", "first"), claudetest.Program("explained", "good"))
				r.config.Secrets, r.config.Sessions = values, sessions{pyth.Python}
				// The run gets no secrets, so the run itself redacts no values. Only the
				// generate service can redact the values.
				request := pyth.GenerateRequest{Prompt: "print 42", Execute: true}
				failed := pyth.Outcome{Status: pyth.StatusFailed}
				switch where {
				case "output":
					failed.Stdout, failed.Stderr = []byte(shown.String()), []byte("x"+shown.String())
					failed.Error = &pyth.ProgramError{Name: values["TOKEN"], Message: shown.String(), Traceback: shown.String()}
				case "cut output":
					// In each of these outputs, an excerpt begins or ends inside a secret
					// value.
					failed.Stdout = []byte(strings.Repeat(".", 2<<10-9) + values["TOKEN"] + strings.Repeat(".", 9000) + values["TOKEN"] + strings.Repeat(".", 6<<10-10))
					failed.Stderr = []byte(strings.Repeat(".", 7000) + values["TOKEN"][:12])
					failed.StderrTruncated = true
				case "cut errors":
					failed.Error = &pyth.ProgramError{
						Name: strings.Repeat("N", 256-14) + values["TOKEN"][:14], Message: strings.Repeat(".", 16<<10-14) + values["TOKEN"][:14],
						Traceback: values["LONG"][1:] + strings.Repeat(".", 64<<10),
					}
				case "prompt":
					request.Prompt = "print " + shown.String()
				case "files":
					request.Files = []pyth.File{{Path: ".env", Content: []byte(shown.String())}, {Path: "b", Content: []byte(strings.Repeat(".", 1<<10-12) + values["TOKEN"])}}
				case "file names":
					request.Files = []pyth.File{{Path: values["TOKEN"]}}
				case "session":
					request.Session = "ses"
				case "hosts":
					request.Network = []string{values["TOKEN"] + ".example.org"}
				case "package":
					failed.Error = &pyth.ProgramError{Name: "ModuleNotFoundError", Message: "No module named '" + values["TOKEN"] + "'"}
				case "code":
					r.server.Script(claudetest.Program(values["TOKEN"], "first "+values["TOKEN"]), claudetest.Program("x", "good"))
				case "descriptions":
					request.AllSecrets = true
				}
				r.run = func(p *pyth.Program) (*pyth.Execution, error) {
					switch {
					case strings.Contains(p.Code, "globals()"):
						pair, _ := json.Marshal([][2]string{{values["TOKEN"], "str"}, {"x", values["TOKEN"]}})
						return &pyth.Execution{Outcome: pyth.Outcome{Stdout: pair}}, nil
					case strings.HasPrefix(p.Code, "first"):
						return &pyth.Execution{Outcome: failed}, nil
					}
					return fakeRun(p)
				}
				g, err := r.generate(request, events)
				if err != nil || len(g.Attempts) != 2 {
					t.Fatalf("got %+v, %v", g, err)
				}
				for i, body := range r.bodies() {
					decoded := body
					var whole any
					if json.Unmarshal([]byte(body), &whole) == nil {
						decoded += fmt.Sprint(whole)
					}
					for name, value := range values {
						for _, form := range traces(value) {
							if strings.Contains(decoded, form) {
								t.Errorf("request %d shows %s as %q", i, name, form)
							}
						}
					}
				}
				if all := strings.Join(r.bodies(), ""); !strings.Contains(all, "[secret:") || where == "output" && !strings.Contains(all, "[secret:LONG]") {
					t.Error("the requests lack a marker in place of a secret value")
				}
			})
		}
	}
}
