package api_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/pyth-on/pyth-on/internal/api"
)

// node is a JSON object in the OpenAPI document.
type node = map[string]any

func openAPI(t *testing.T) node {
	t.Helper()
	text := newFullServer(t).send(anonymous("GET", "/openapi.json", "")).body
	if path := os.Getenv("OPENAPI_OUT"); path != "" {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var d node
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The function "at" returns the object at a path of keys. If there is no such object, it
// returns an empty object.
func at(n node, keys ...string) node {
	for _, key := range keys {
		n, _ = n[key].(node)
	}
	return n
}

// resolve returns the object to which n refers. If n has no $ref, it returns n itself.
func resolve(d, n node) node {
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	return at(d, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

func eachOperation(d node, f func(name string, op node)) {
	for path, item := range at(d, "paths") {
		for method, op := range item.(node) {
			f(strings.ToUpper(method)+" "+path, op.(node))
		}
	}
}

// eachObject calls f for n and for every object inside n. It also passes the location of
// the object.
func eachObject(location string, n any, f func(location string, n node)) {
	switch n := n.(type) {
	case node:
		f(location, n)
		for key, value := range n {
			if key != "example" && key != "examples" {
				eachObject(location+"/"+key, value, f)
			}
		}
	case []any:
		for i, value := range n {
			eachObject(fmt.Sprintf("%s/%d", location, i), value, f)
		}
	}
}

func TestOpenAPIDescribesEverything(t *testing.T) {
	d := openAPI(t)
	described := 0
	check := func(location string, n node) {
		described++
		text, _ := n["description"].(string)
		if !strings.HasSuffix(text, ".") && !strings.HasPrefix(location, "response ") {
			t.Errorf("%s: the description %q is not a sentence", location, text)
		}
		if strings.Contains(text, "Default:") {
			t.Errorf("%s: move the default to the field default: %q", location, text)
		}
		for sentence := range strings.SplitSeq(text, ". ") {
			if words := len(strings.Fields(sentence)); words > 25 {
				t.Errorf("%s: a sentence has %d words: %q", location, words, sentence)
			}
		}
	}
	for name, s := range at(d, "components", "schemas") {
		check(name, s.(node))
		eachObject(name, s, func(location string, n node) {
			for property, p := range at(n, "properties") {
				check(location+"."+property, p.(node))
			}
		})
	}
	for _, section := range []string{"parameters", "headers", "securitySchemes"} {
		for name, c := range at(d, "components", section) {
			check(section+" "+name, c.(node))
		}
	}
	for _, tag := range d["tags"].([]any) {
		check("tag", tag.(node))
	}
	eachOperation(d, func(name string, op node) {
		check(name, op)
		for _, p := range list(op["parameters"]) {
			check(name+" parameter", resolve(d, p.(node)))
		}
		for status, r := range at(op, "responses") {
			check("response "+name+" "+status, resolve(d, r.(node)))
		}
	})
	if described < 400 {
		t.Errorf("only %d descriptions were checked", described)
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func TestOpenAPIHasExamplesForSuccessAndError(t *testing.T) {
	d := openAPI(t)
	eachOperation(d, func(name string, op node) {
		failures := 0
		for status, r := range at(op, "responses") {
			for mediaType, m := range at(resolve(d, r.(node)), "content") {
				if m.(node)["example"] == nil {
					t.Errorf("%s: %s as %s has no example", name, status, mediaType)
				}
				if status >= "400" {
					failures++
				}
			}
		}
		if failures == 0 {
			t.Errorf("%s has no example of an error", name)
		}
		if body := at(op, "requestBody", "content", "application/json"); body != nil && body["example"] == nil {
			t.Errorf("%s: the request has no example", name)
		}
	})
}

func TestOpenAPIEnumsAreComponents(t *testing.T) {
	d := openAPI(t)
	schemas := at(d, "components", "schemas")
	for _, name := range []string{"Language", "ExecutionStatus", "Encoding", "Outcome", "ErrorCode"} {
		if len(list(at(schemas, name)["enum"])) < 2 {
			t.Errorf("%s is not an enumeration", name)
		}
	}
	eachObject("", d, func(location string, n node) {
		isComponent := strings.Count(location, "/") == 3 && strings.HasPrefix(location, "/components/schemas/")
		if values := list(n["enum"]); len(values) > 1 && !isComponent {
			t.Errorf("%s has undocumented values: %v", location, values)
		}
	})
}

func TestOpenAPIErrorsAreComponents(t *testing.T) {
	eachOperation(openAPI(t), func(name string, op node) {
		for status, r := range at(op, "responses") {
			if ref, _ := r.(node)["$ref"].(string); status >= "400" && !strings.HasPrefix(ref, "#/components/responses/") {
				t.Errorf("%s: %s must be a reference", name, status)
			}
		}
	})
}

// TestOpenAPISchemasHaveNoDuplicates checks that two schemas with many equal properties
// reference a common schema. Up to three equal properties are allowed without a common
// schema, for example id, name and times.
func TestOpenAPISchemasHaveNoDuplicates(t *testing.T) {
	const most = 3
	schemas := at(openAPI(t), "components", "schemas")
	properties := map[string]map[string]bool{}
	for name, s := range schemas {
		properties[name] = map[string]bool{}
		eachObject("", s, func(location string, n node) {
			for property, p := range at(n, "properties") {
				text, err := json.Marshal(p, json.Deterministic(true))
				if err != nil {
					t.Fatal(err)
				}
				properties[name][property+string(text)] = true
			}
		})
	}
	names := slices.Sorted(maps.Keys(schemas))
	for i, a := range names {
		for _, b := range names[:i] {
			same := 0
			for p := range properties[a] {
				if properties[b][p] {
					same++
				}
			}
			if same > most {
				t.Errorf("%s and %s share %d properties", a, b, same)
			}
		}
	}
}

// TestOpenAPIAnswersAreOpenAndRequestsClosed checks which schemas allow unknown fields.
// Schemas of responses must allow unknown fields, because clients must accept new fields.
// Schemas of requests must refuse unknown fields.
func TestOpenAPIAnswersAreOpenAndRequestsClosed(t *testing.T) {
	d := openAPI(t)
	closed := func(n node) bool { return n["additionalProperties"] == false || n["unevaluatedProperties"] == false }
	var follow func(n any, seen map[string]bool)
	follow = func(n any, seen map[string]bool) {
		eachObject("", n, func(_ string, n node) {
			if ref, ok := n["$ref"].(string); ok && !seen[ref] {
				seen[ref] = true
				follow(resolve(d, n), seen)
			}
		})
	}
	answers := map[string]bool{}
	eachOperation(d, func(name string, op node) {
		follow(op["responses"], answers)
		for _, m := range at(op, "requestBody", "content") {
			s := resolve(d, at(m.(node), "schema"))
			forms := list(s["oneOf"])
			if forms == nil {
				forms = []any{at(m.(node), "schema")}
			}
			for _, form := range forms {
				ref, _ := form.(node)["$ref"].(string)
				// ZKPayload is an exception. It allows unknown fields, because responses
				// also contain it.
				if ref != "" && ref != "#/components/schemas/ZKPayload" && !closed(resolve(d, form.(node))) {
					t.Errorf("%s: %s allows unknown fields", name, ref)
				}
			}
		}
	})
	for ref := range answers {
		eachObject(ref, resolve(d, node{"$ref": ref}), func(location string, n node) {
			if closed(n) {
				t.Errorf("%s forbids unknown fields", location)
			}
		})
	}
	if len(answers) < 40 {
		t.Errorf("only %d parts of answers were checked", len(answers))
	}
}

func TestOpenAPINamesSuitGenerators(t *testing.T) {
	d := openAPI(t)
	// Code generators put all components into one package. So the names of components
	// must be unique across all sections of the document.
	owner := map[string]string{}
	for section, components := range at(d, "components") {
		for name := range components.(node) {
			key := strings.ToLower(name)
			if other := owner[key]; other != "" && section != "headers" && other != "headers" && section != "securitySchemes" {
				t.Errorf("%s and %s both use the name %s", section, other, name)
			}
			owner[key] = section
		}
	}
	ids := map[string]bool{}
	verb := regexp.MustCompile(`^(add|attach|cancel|change|check|copy|create|delete|encrypt|generate|get|interrupt|list|log|move|put|read|refresh|register|remove|replace|reserve|resize|run|signal|start|store|verify|watch|write)[A-Z][A-Za-z]+$`)
	eachOperation(d, func(name string, op node) {
		id, _ := op["operationId"].(string)
		if ids[id] || !verb.MatchString(id) {
			t.Errorf("%s: the operation id is %q", name, id)
		}
		ids[id] = true
		for _, suffix := range []string{"", "Request", "Response", "Responses", "Params", "Req", "Res", "Body", "Data", "Error", "Errors", "JSONBody", "JSONRequestBody"} {
			if section := owner[strings.ToLower(id+suffix)]; section != "" {
				t.Errorf("%s: %s%s is also the name of a component", name, id, suffix)
			}
		}
		if op["summary"] == nil || len(list(op["tags"])) != 1 {
			t.Errorf("%s lacks a summary or a tag", name)
		}
	})
}

func TestOpenAPIHeadAndForm(t *testing.T) {
	s := newFullServer(t, func(c *api.Config) { c.Version = "v1.0-3-g1a2b3c4" })
	text := s.send(anonymous("GET", "/openapi.json", "")).body
	var d node
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	if version, _ := at(d, "info")["version"].(string); !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(version) {
		t.Errorf("the version is %q", version)
	}
	if at(d, "info", "license")["identifier"] != "Apache-2.0" || at(d, "info", "contact")["url"] == nil {
		t.Errorf("the info is %v", d["info"])
	}
	for path := range at(d, "paths") {
		if strings.HasPrefix(path, "/docs") || strings.HasPrefix(path, "/openapi") {
			t.Errorf("%s is an operation", path)
		}
	}
	if strings.Contains(text, "\t") || !strings.HasPrefix(text, "{\n  \"") || !strings.HasSuffix(text, "\n}\n") {
		t.Errorf("the document is not indented by two spaces: %.80q", text)
	}
}

func TestOpenAPIStatesDefaults(t *testing.T) {
	schemas := at(openAPI(t), "components", "schemas")
	found := map[string]any{}
	for name, s := range schemas {
		eachObject(name, s, func(_ string, n node) {
			for property, p := range at(n, "properties") {
				if v, ok := p.(node)["default"]; ok {
					t.Errorf("%s.%s: generators would treat a property with a default as required", name, property)
					found[name+"."+property] = v
				}
				for _, part := range list(p.(node)["allOf"]) {
					found[name+"."+property] = part.(node)["default"]
				}
			}
		})
	}
	for property, want := range map[string]any{
		"RunSettings.timeoutMs": 30000.0, "RunSettings.redactSecrets": true, "RunOptions.isolation": "tenant", "RunOptions.results": true,
		"LimitsRequest.memoryBytes": 268435456.0, "LimitsRequest.processes": 64.0, "InputFile.encoding": "utf8",
		"SessionRequest.language": "python", "PackageRequest.language": "python", "GenerateRequest.maxAttempts": 3.0,
	} {
		if found[property] != want {
			t.Errorf("the default of %s is %v", property, found[property])
		}
	}
}

func TestOpenAPIRequestHasOnePassword(t *testing.T) {
	schemas := at(openAPI(t), "components", "schemas")
	if forms := list(at(schemas, "ZKExecuteRequest")["oneOf"]); len(forms) != 2 {
		t.Errorf("the forms are %v", forms)
	}
	for _, name := range []string{"ExecuteRequest", "ZKPasswordExecuteRequest", "KeyCreated", "AuditProof", "SecretList", "HealthProblem", "GenerateRequest"} {
		if list(at(schemas, name)["allOf"]) == nil {
			t.Errorf("%s is written out", name)
		}
	}
}
