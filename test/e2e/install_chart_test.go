package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const chartDir = "../../deploy/helm/pyth-on"

var updateCharts = flag.Bool("update-charts", false, "write the rendered charts in deploy/helm/rendered")

// chartCases contains sets of values for the Helm chart. For each set,
// deploy/helm/rendered contains the rendered chart.
var chartCases = map[string][]string{
	"default": nil,
	"full": {
		"replicas=2", "database.secret=database", "rootKey.secret=root-key", "model.secret=anthropic", "persistence.storageClass=fast",
		"ingress.enabled=true", "ingress.host=pyth-on.example.org", "ingress.className=nginx", "ingress.tlsSecret=certificate",
		"metrics.serviceMonitor=true", "settings.MAX_SANDBOXES=40", "imagePullSecrets[0].name=registry", "image.tag=1.2.3",
	},
}

// TestChartIsRendered checks that deploy/helm/rendered was rendered from the current
// chart. It compares only hashes. The deep test TestChartRenders checks the content
// with Helm.
func TestChartIsRendered(t *testing.T) {
	t.Parallel()
	sum := hashChart(t)
	for name := range chartCases {
		if !strings.HasPrefix(readFile(t, renderedChart(name)), sum) {
			t.Errorf("%s is not rendered from this chart: run `make bin/tools/helm` and `go test ./test/e2e -run TestChartRenders -update-charts`", renderedChart(name))
		}
	}
}

func renderedChart(name string) string { return "../../deploy/helm/rendered/" + name + ".yaml" }

// hashChart returns a YAML comment that contains a hash of all files of the Helm chart.
func hashChart(t *testing.T) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(chartDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name := must(filepath.Rel(chartDir, path))(t)
		_, err = fmt.Fprintf(h, "%s %q\n", name, readFile(t, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return "# Rendered from the chart with the SHA-256 " + hex.EncodeToString(h.Sum(nil)) + "\n"
}

// TestChartRenders checks the Helm chart with `helm lint` and renders it.
func TestChartRenders(t *testing.T) {
	onlyDeep(t, "it runs the tool helm")
	t.Parallel()
	if out, err := helm(t, "lint", "--strict", chartDir); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	sum := hashChart(t)
	for name, values := range chartCases {
		args := []string{"template", "demo", chartDir, "--namespace=demo"}
		for _, v := range values {
			args = append(args, "--set", v)
		}
		out, err := helm(t, args...)
		if err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
			continue
		}
		if *updateCharts {
			if err := os.WriteFile(renderedChart(name), []byte(sum+out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := readFile(t, renderedChart(name)); sum+out != want {
			t.Errorf("%s: got %s, want %s", name, out, want)
		}
	}
	for value, want := range map[string]string{
		"replicas=2":              "more than one server needs a PostgreSQL database",
		"database.secret=x":       "Set rootKey.secret",
		"ingress.enabled=true":    "ingress.host: set the host of the API",
		"replica=2":               "replica",
		"settings.ROOT_KEY=x":     "ROOT_KEY",
		"persistence.sizes=20Gi":  "sizes",
		"image.pullPolicy=always": "pullPolicy",
	} {
		out, err := helm(t, "template", "demo", chartDir, "--set", value)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: got %s, want %q", value, err, out, want)
		}
	}
}

// TestReleasedChartHasVersion renders the chart of a release and checks the version of
// the image.
func TestReleasedChartHasVersion(t *testing.T) {
	onlyDeep(t, "it makes a whole release")
	t.Parallel()
	out, err := helm(t, "template", "demo", filepath.Join(must(makeRelease())(t), "pyth-on-1.2.3.tgz"))
	if err != nil || !strings.Contains(out, `image: "pyth-on:1.2.3"`) || !strings.Contains(out, "helm.sh/chart: pyth-on-1.2.3\n") {
		t.Errorf("%v: %s", err, out)
	}
}

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if args[0] == "template" {
		// This build of Helm has no default Kubernetes version, because only Helm's own
		// builds set one with a linker flag. So pass a version.
		args = append(args, "--kube-version=1.33.0")
	}
	cmd := exec.CommandContext(t.Context(), "../../bin/tools/helm", args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}
