package e2e_test

import (
	"strings"
	"testing"
)

func typeScriptRequest(code string, more object) object {
	request := javaScriptRequest(code, more)
	request["language"] = "typescript"
	return request
}

// legacyDecorators is a tsconfig.json file that enables legacy decorators. Many such
// files contain comments, so this file also contains a comment.
var legacyDecorators = object{"path": "tsconfig.json", "content": "{\n  // as frameworks want it\n  \"compilerOptions\": {\"experimentalDecorators\": true,},\n}"}

// typeScriptFeatures maps names of language features to programs that use these
// features. Each program prints or shows "ok".
var typeScriptFeatures = map[string]string{
	"enum":                  "enum E { A = 'ok', B = 'no' }\nE.A",
	"const enum":            "const enum E { A = 1, B = A << 1 }\nE.B === 2 ? 'ok' : 'no'",
	"numeric enum":          "enum E { A, B }\nE[E.B] + E.B === 'B1' ? 'ok' : 'no'",
	"namespace":             "namespace N { export const x = 'ok'; export namespace M { export const y = x; } }\nN.M.y",
	"parameter properties":  "class P { constructor(private readonly x: string, public y = 1) {} get() { return this.x; } }\nnew P('ok').get()",
	"decorators":            "function up(f: any, c: ClassMethodDecoratorContext) { return function (this: any) { return c.kind + f.call(this); }; }\nclass A { @up m() { return 'ok'; } }\nnew A().m() === 'methodok' ? 'ok' : 'no'",
	"class decorators":      "const named = (n: string) => (c: any, _: any) => { c.label = n; };\n@named('ok') class A { static label: string }\nA.label",
	"accessors":             "class A { accessor x = 'ok' }\nnew A().x",
	"import of CommonJS":    "import fs = require('fs');\ntypeof fs.readFileSync === 'function' ? 'ok' : 'no'",
	"import alias":          "namespace N { export class C { v = 'ok' } }\nimport C = N.C;\nnew C().v",
	"satisfies":             "const v = { a: 'ok' } satisfies Record<string, string>;\nv.a",
	"using":                 "let order = '';\n{ using r = { [Symbol.dispose]() { order += 'k'; } }; order += 'o'; }\norder",
	"abstract classes":      "abstract class B { abstract m(): string }\nclass D extends B { override m() { return 'ok'; } }\nnew D().m()",
	"overloads":             "function f(a: number): string; function f(a: string): string; function f(a: any) { return 'ok'; }\nf(1)",
	"old assertions":        "<any>'ok'",
	"top-level await":       "import type { Stats } from 'node:fs';\nenum E { A }\nconst v: string = await Promise.resolve('ok');\nv",
	"an e-mail in a string": "const mail: string = 'a@b.example';\nmail.length > 3 ? 'ok' : 'no'",
}

// TestExecuteTypeScriptSupportsAllSyntax runs programs with TypeScript syntax that Node
// itself does not support.
func TestExecuteTypeScriptSupportsAllSyntax(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for name, code := range typeScriptFeatures {
		t.Run(name, func(t *testing.T) {
			sameWithoutResults(t, a, "typescript", code).ends(t, "succeeded").requireResults(t, "'ok'")
		})
	}
	legacy := "function d(target: any, key: string, p: PropertyDescriptor) { console.log(key, typeof p.value); }\nclass A { @d m() {} }"
	a.execute(t, typeScriptRequest(legacy, object{"files": []object{legacyDecorators}})).prints(t, "m function\n")
	a.execute(t, typeScriptRequest("enum E { A = 'ok' }\nexport = E;", nil)).ends(t, "succeeded")
	files := []object{
		{"path": "lib/kind.ts", "content": "export enum Kind { A, B }"},
		{"path": "lib/tool.ts", "content": "import { Kind } from './kind.ts';\nexport namespace Tool {\n  export const name = Kind[Kind.B];\n}"},
	}
	a.execute(t, typeScriptRequest("import { Tool } from './lib/tool.ts';\nTool.name", object{"files": files})).ends(t, "succeeded").requireResults(t, "'B'")
	a.execute(t, typeScriptRequest("const { Kind } = require('./lib/kind.ts');\nKind.B", object{"files": files, "limits": object{"processes": 1}})).ends(t, "succeeded").requireResults(t, "1")
}

// TestExecuteTypeScriptReportsPositions checks that error messages contain the line and
// column in the TypeScript source.
func TestExecuteTypeScriptReportsPositions(t *testing.T) {
	t.Parallel()
	a := sharedServer(t).register(t)
	for code, want := range map[string]struct {
		line  int
		place string
	}{
		"enum E { A, B }\nconst x: any = null;\n\nfunction f(): number {\n   return x.y;\n}\nf();":              {5, "/work/main.ts:5:13"},
		"enum E { A }\n\nasync function g(): Promise<void> { throw new RangeError('late'); }\ng()":              {3, "/work/main.ts:3:43"},
		"namespace N { export const a = 1; }\nPromise.reject(new Error('rejected'))":                            {2, "/work/main.ts:2:16"},
		"enum E { A }\nimport 'node:fs';\nsetTimeout(() => {\n  throw new Error('in a timer');\n})":             {4, "/work/main.ts:4:9"},
		"let z: number = 1;\nthrow new Error('only stripped') as any":                                           {2, "/work/main.ts:2:7"},
		"function d(f: any, c: any) { return f; }\n\nclass A { @d m() { throw new Error('d'); } }\nnew A().m()": {3, "/work/main.ts:3:26"},
	} {
		x := sameWithoutResults(t, a, "typescript", code).ends(t, "failed")
		if x.Error == nil || x.Error.Line != want.line || !strings.Contains(x.Error.Traceback, want.place) {
			t.Errorf("%q: %+v, %s", code, x.Error, x)
		}
		source := strings.TrimSuffix(strings.Split(code, "\n")[want.line-1], " as any")
		if !strings.Contains(x.Stderr, source) {
			t.Errorf("%q: the line is not shown: %s", code, x)
		}
	}
	x := a.execute(t, typeScriptRequest("enum E { A }\nconst page = <div>text</div>;", nil)).ends(t, "failed")
	if x.Error == nil || x.Error.Name != "SyntaxError" || !strings.Contains(x.Error.Message, "JSX") || x.Error.Line != 2 {
		t.Errorf("JSX: %+v", x.Error)
	}
	x = a.execute(t, typeScriptRequest("enum E { A }\nlet x = ;", nil)).ends(t, "failed")
	if x.Error == nil || x.Error.Name != "SyntaxError" || x.Error.Line != 2 {
		t.Errorf("got %+v", x.Error)
	}
}

func TestSessionTypeScriptSupportsAllSyntax(t *testing.T) {
	t.Parallel()
	s := sharedServer(t).register(t).openSession(t, object{"language": "typescript"})
	for name, code := range typeScriptFeatures {
		s.runCode(t, "{ "+"console.log('"+name+"') }").prints(t, name+"\n")
		s.runCode(t, code).ends(t, "succeeded").requireResults(t, "'ok'")
	}
	s.runCode(t, "enum Kept { A, B }").ends(t, "succeeded")
	s.runCode(t, "Kept.B").requireResults(t, "1")
	s.runCode(t, "enum Other { A }\n\nfunction fails(): never {\n  throw new Error('x');\n}").ends(t, "succeeded")
	x := s.runCode(t, "let n: number = 1;\nfails()").ends(t, "failed")
	if x.Error == nil || x.Error.Line != 2 || !strings.Contains(x.Error.Traceback, ":4:9)\n") {
		t.Errorf("got %+v", x.Error)
	}
	x = s.runCode(t, "const page = <b>text</b>;").ends(t, "failed")
	if x.Error == nil || !strings.Contains(x.Error.Message, "JSX") {
		t.Errorf("got %+v", x.Error)
	}
}
