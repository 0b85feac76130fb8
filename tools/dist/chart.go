package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// chartFolder is the folder in the repository that contains the Helm chart.
const chartFolder = "deploy/helm/pyth-on"

// writeChart writes the archive of the Helm chart with the version of the release. It
// does not use `helm package`, because this command writes the current time to the
// archive.
func (r *release) writeChart(to string) error {
	root := r.path(chartFolder)
	return createGzip(to, func(w *archive) error {
		// The archive is reproducible, because WalkDir visits the files in the order of
		// their names.
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

// withVersion returns the content of Chart.yaml with the version of the release in it.
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

// imageTag returns the tag of the container image. It replaces "+" in the version,
// because a tag cannot contain this character.
func imageTag(version string) string { return strings.ReplaceAll(version, "+", "-") }
