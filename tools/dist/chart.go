package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// chartFolder is the folder of the Helm chart in the repository.
const chartFolder = "deploy/helm/pyth-on"

// writeChart writes the Helm chart with the version of the release. The command
// `helm package` would write the current time to the archive.
func (r *release) writeChart(to string) error {
	root := r.path(chartFolder)
	return createGzip(to, func(w *archive) error {
		// WalkDir visits files in the order of their names.
		return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if name == "Chart.yaml" {
				if content, err = withVersion(content, r.Version); err != nil {
					return err
				}
			}
			return w.addBytes("pyth-on/"+filepath.ToSlash(name), content)
		})
	}, r.Time)
}

// withVersion returns the content of Chart.yaml with the version of the release.
func withVersion(chart []byte, version string) ([]byte, error) {
	for _, field := range [][2]string{
		{"version: 0.0.0\n", "version: " + version + "\n"},
		{"appVersion: 0.0.0\n", "appVersion: " + imageTag(version) + "\n"},
	} {
		if bytes.Count(chart, []byte("\n"+field[0])) != 1 {
			return nil, fmt.Errorf("the file Chart.yaml does not have the line %q", strings.TrimSpace(field[0]))
		}
		chart = bytes.Replace(chart, []byte("\n"+field[0]), []byte("\n"+field[1]), 1)
	}
	return chart, nil
}

// imageTag returns the tag of the container image. Tags cannot contain "+".
func imageTag(version string) string { return strings.ReplaceAll(version, "+", "-") }
