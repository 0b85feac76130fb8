package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	return string(must(os.ReadFile(path))(t))
}

// TestDocumentationIsComplete checks that the documentation mentions all commands,
// flags, pages and directories of the project.
func TestDocumentationIsComplete(t *testing.T) {
	t.Parallel()
	readme, settings := readFile(t, "../../README.md"), readFile(t, "../../docs/settings.md")
	architecture := readFile(t, "../../docs/architecture.md")

	help, err := runBinary(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(help, "Commands:\n")
	commands, _, _ = strings.Cut(commands, "\nFlags:")
	names := regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)?)  `).FindAllStringSubmatch(commands, -1)
	if len(names) < 11 {
		t.Errorf("only %d commands were found in %s", len(names), help)
	}
	for _, name := range names {
		if !strings.Contains(readme, "\n| `pyth-on "+name[1]) {
			t.Errorf("the README does not list the command %s", name[1])
		}
	}

	reference, err := runBinary(t, "settings", "reference")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(settings, reference) || strings.Count(reference, "\n| `") < 80 {
		t.Errorf("docs/settings.md does not end with the output of `pyth-on settings reference`: run `make build && scripts/settings-reference`")
	}

	pages := must(filepath.Glob("../../docs/*.md"))(t)
	for _, page := range pages {
		if link := "](docs/" + filepath.Base(page) + ")"; !strings.Contains(readme, link) {
			t.Errorf("the README has no link to %s", page)
		}
	}
	packages := must(exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "../../...").Output())(t)
	root := must(filepath.Abs("../.."))(t)
	for dir := range strings.Lines(string(packages)) {
		folder := must(filepath.Rel(root, strings.TrimSpace(dir)))(t)
		if strings.HasPrefix(folder, "examples/") {
			continue
		}
		if !strings.Contains(architecture, "\n| `"+folder+"`") {
			t.Errorf("docs/architecture.md does not list the folder %s", folder)
		}
	}
}

// TestDocumentationNamesLogMessages checks the log messages in the table of
// docs/monitoring.md. Each message must occur in the source code.
func TestDocumentationNamesLogMessages(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readFile(t, "../../docs/monitoring.md"), "\n| message | meaning |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var source strings.Builder
	for _, folder := range []string{"../../cmd", "../../internal"} {
		err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				source.WriteString(readFile(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	messages := 0
	for row := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for _, m := range regexp.MustCompile("`([a-z][^`]* [^`]*)`").FindAllStringSubmatch(cell, -1) {
			messages++
			// This message comes from SQLite, so the source code of this repository
			// does not contain the message.
			if m[1] != "database or disk is full" && !strings.Contains(source.String(), strconv.Quote(m[1])) {
				t.Errorf("docs/monitoring.md names the log message %q, which no package has", m[1])
			}
		}
	}
	if messages < 8 {
		t.Errorf("only %d messages were found", messages)
	}
}

// TestDocumentationLinksAreValid checks the links between pages. Each link must lead to
// an existing file and to an existing section.
func TestDocumentationLinksAreValid(t *testing.T) {
	t.Parallel()
	links := regexp.MustCompile(`\]\(([^)\s]*)\)`)
	pages := append(must(filepath.Glob("../../docs/*.md"))(t), "../../README.md")
	pages = append(pages, must(filepath.Glob("../../docs/decisions/*.md"))(t)...)
	for _, page := range pages {
		for _, link := range links.FindAllStringSubmatch(readFile(t, page), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			path, section, _ := strings.Cut(link[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
				continue
			}
			if section != "" && !hasSection(readFile(t, target), section) {
				t.Errorf("%s links to %s, which has no such section", page, link[1])
			}
		}
	}
}

// hasSection reports whether the page has a heading with the given anchor.
func hasSection(page, anchor string) bool {
	unwanted := regexp.MustCompile(`[^\pL\pN _-]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		name := unwanted.ReplaceAllString(strings.ToLower(heading[1]), "")
		if strings.ReplaceAll(name, " ", "-") == anchor {
			return true
		}
	}
	return false
}
