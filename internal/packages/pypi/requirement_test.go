package pypi

import (
	"testing"

	"github.com/pyth-on/pyth-on/internal/packages/resolve/resolvetest"
)

func TestParseNormalizesRequirements(t *testing.T) {
	for in, want := range map[string]string{
		"requests":                       "requests",
		"Flask_SQLAlchemy":               "flask-sqlalchemy",
		"zope.interface==5.*":            "zope-interface==5.*",
		"numpy >= 2, < 3":                "numpy>=2,<3",
		"numpy(>=2)":                     "numpy>=2",
		"uvicorn[standard, Watch_Files]": "uvicorn[standard,watch-files]",
		"a[b,b]!=1.0rc1,~=1.4":           "a[b]!=1.0rc1,~=1.4",
		"torch==2.1.0+cpu":               "torch==2.1.0+cpu",
		"a==1!2.0.post1.dev3":            "a==1!2.0.post1.dev3",
		"3to2":                           "3to2",
	} {
		r, err := parse(in)
		if err != nil || r.Text != want {
			t.Errorf("%q is %q, %v; want %q", in, r.Text, err, want)
		}
	}
}

func TestParseRefusesOtherTexts(t *testing.T) { resolvetest.CheckRefusal(t, parse, "node_modules") }

func FuzzParse(f *testing.F) { resolvetest.Fuzz(f, parse, false) }
