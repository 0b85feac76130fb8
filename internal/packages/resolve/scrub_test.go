package resolve

import (
	"strings"
	"testing"
)

func TestScrubHidesServer(t *testing.T) {
	for line, want := range map[string]string{
		"ERROR: Could not find a version that satisfies the requirement nosuch>=2 (from versions: 1.0, 1.1)": "",
		"ERROR: No matching distribution found for nosuch>=2":                                                "",
		"npm error notarget No matching version found for lodash@^99.0.0.":                                   "",
		"npm error code ETARGET":                                                                "",
		"npm error 404  '@scope/none@*' is not in this registry.":                               "",
		"The conflict is caused by: a 1.0 depends on b<2":                                       "",
		"npm error 404 Not Found - GET http://packages.internal/nosuch - not found":             "npm error 404 Not Found - GET nosuch of the index - not found",
		"Looking in indexes: http://packages.internal/simple/":                                  "<none>",
		"WARNING: Retrying after connection broken by X: /simple/a/ packages.internal:80":       "WARNING: Retrying after connection broken by X: /simple/a/ the index",
		"HTTPConnectionPool(host='127.0.0.1', port=3128)":                                       "HTTPConnectionPool(host='the index', port=3128)",
		"npm error A complete log of this run can be found in: /home/sandbox/.npm/_logs/x":      "<none>",
		"npm error path /work/package.json":                                                     "<none>",
		"  File \"/pyth-on/pip/pip/_internal/x.py\", line 3":                                    "  File \"a file\", line 3",
		"Collecting a (from http://user:pw@packages.internal:80/simple/a/a-1-py3-none-any.whl)": "Collecting a (from a/a-1-py3-none-any.whl of the index)",
		"see https://docs.example.org/x?y and http://10.0.0.7:3128/":                            "see an address and an address",
	} {
		if want == "" {
			want = line
		}
		if got := scrub(line); got != strings.TrimPrefix(want, "<none>") {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}
