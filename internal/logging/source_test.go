package logging_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// durationKey matches the keys of attributes that contain a duration.
var durationKey = regexp.MustCompile(`(^|_)(duration|timeout|time_out|took|elapsed|delay|wait|waited|age|interval|latency|ttl|backoff|after|since|uptime)$`)

// durationMethods are methods that return a duration as a number.
var durationMethods = []string{"Milliseconds", "Seconds", "Microseconds", "Nanoseconds", "Minutes", "Hours"}

// badDurations returns the places in a file where a log record has a duration with a
// wrong key. A correct key ends in _ms.
func badDurations(fset *token.FileSet, file *ast.File) (bad []string) {
	report := func(n ast.Node, key string) {
		bad = append(bad, fmt.Sprintf("%s: the key %q of a duration", fset.Position(n.Pos()), key))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		name := calledName(call)
		switch {
		case name == "slog.Duration":
			report(call, keyOf(call.Args[0]))
		case strings.HasPrefix(name, "slog.") && len(call.Args) == 2:
			if key := keyOf(call.Args[0]); key != "" && isDuration(key, call.Args[1]) {
				report(call, key)
			}
		case isLogMethod(name):
			for i := firstKey(name); i+1 < len(call.Args); i++ {
				key := keyOf(call.Args[i])
				if key == "" {
					continue // an attribute
				}
				if isDuration(key, call.Args[i+1]) {
					report(call.Args[i], key)
				}
				i++ // the value
			}
		}
		return true
	})
	return bad
}

func calledName(call *ast.CallExpr) string {
	s, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	if x, ok := s.X.(*ast.SelectorExpr); ok {
		return x.Sel.Name + "." + s.Sel.Name
	}
	return "." + s.Sel.Name
}

func isLogMethod(name string) bool {
	receiver, method, _ := strings.Cut(name, ".")
	if !strings.HasPrefix(strings.ToLower(receiver), "log") && receiver != "l" && receiver != "slog" {
		return false
	}
	return slices.Contains([]string{"Debug", "Info", "Warn", "Error", "Log", "With"}, strings.TrimSuffix(method, "Context"))
}

// firstKey returns the index of the first argument after the message.
func firstKey(name string) int {
	switch {
	case strings.HasSuffix(name, ".With"):
		return 0
	case strings.HasSuffix(name, ".Log"):
		return 3
	case strings.HasSuffix(name, "Context"):
		return 2
	default:
		return 1
	}
}

// keyOf returns the value of a string literal. For other expressions, it returns "".
func keyOf(e ast.Expr) string {
	if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.STRING {
		key, _ := strconv.Unquote(b.Value)
		return key
	}
	return ""
}

func isDuration(key string, value ast.Expr) bool {
	if strings.HasSuffix(key, "_ms") {
		return false
	}
	found := durationKey.MatchString(key)
	ast.Inspect(value, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, _ := s.X.(*ast.Ident)
			found = found || slices.Contains(durationMethods, s.Sel.Name) || x != nil && x.Name == "time" && s.Sel.Name == "Since"
		}
		return !found
	})
	return found
}

// missingContexts returns the places in a file where a function writes a log record
// without its context. The function has a context as a parameter. Without the context,
// the record does not contain the ID of the request.
func missingContexts(fset *token.FileSet, file *ast.File) (bad []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		var params *ast.FieldList
		var body *ast.BlockStmt
		switch f := n.(type) {
		case *ast.FuncDecl:
			params, body = f.Type.Params, f.Body
		case *ast.FuncLit:
			params, body = f.Type.Params, f.Body
		}
		if body == nil || !hasContext(params) {
			return true
		}
		ast.Inspect(body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				_, method, _ := strings.Cut(calledName(call), ".")
				if isLogMethod(calledName(call)) && slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, method) {
					bad = append(bad, fmt.Sprintf("%s: use %sContext", fset.Position(call.Pos()), method))
				}
			}
			return true
		})
		return false
	})
	return bad
}

// hasContext reports whether a function has a parameter that is a context. The parameter
// must have a name.
func hasContext(params *ast.FieldList) bool {
	for _, p := range params.List {
		if s, ok := p.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Context" && len(p.Names) == 1 && p.Names[0].Name != "_" {
			return true
		}
	}
	return false
}

func TestRecordsHaveTheContext(t *testing.T) {
	checkSource(t, missingContexts, "internal")
}

func TestKeysOfDurationsEndInMs(t *testing.T) {
	checkSource(t, badDurations, "internal", "cmd")
}

// checkSource calls the function "find" for the files in the directories. It reports all
// places that "find" returns.
func checkSource(t *testing.T, find func(*token.FileSet, *ast.File) []string, dirs ...string) {
	t.Helper()
	fset := token.NewFileSet()
	files := 0
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files++
			for _, bad := range find(fset, file) {
				t.Error(bad)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}

func TestMissingContextsAreFound(t *testing.T) {
	for source, want := range map[string]int{
		`func f(ctx context.Context) { log.Info("x") }`:                          1,
		`func f(ctx context.Context) { go func() { s.logger.Error("x") }() }`:    1,
		`func f(ctx context.Context) { log.InfoContext(ctx, "x") }`:              0,
		`func f(context.Context) { log.Info("x") }`:                              0,
		`func f() { log.Info("x"); g(func(c context.Context) { l.Warn("x") }) }`: 1,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", "package x\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := missingContexts(fset, file); len(got) != want {
			t.Errorf("%s: %v, want %d", source, got, want)
		}
	}
}

func TestBadDurationsAreFound(t *testing.T) {
	for source, want := range map[string]int{
		`log.Info("x", "timeout", d)`:                                   1,
		`s.config.Logger.Warn("x", "took_seconds", d.Seconds())`:        1,
		`logger.Error("x", "error", err, "spent", time.Since(start))`:   1,
		`log.InfoContext(ctx, "x", slog.Duration("duration_ms", d))`:    1,
		`log.Info("x", slog.Int64("wait", d.Milliseconds()))`:           1,
		`log.Info("x", "timeout_ms", d.Milliseconds())`:                 0,
		`log.Info("x", logging.Milliseconds("timeout", d), "count", n)`: 0,
		`other.Info("x", "timeout", d)`:                                 0,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", "package x\nfunc f() { "+source+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := badDurations(fset, file); len(got) != want {
			t.Errorf("%s: %v, want %d", source, got, want)
		}
	}
}
