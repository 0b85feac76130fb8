package npm

import "testing"

func TestLockfileFindsPlacesAsNodeDoes(t *testing.T) {
	for place, valid := range map[string]bool{
		"node_modules/a": true, "node_modules/@s/a": true, "node_modules/a/node_modules/@s/b": true,
		"": false, "a": false, "node_modules": false, "node_modules/": false, "node_modules/../a": false, "node_modules/a/b": false,
		"node_modules/a/node_modules": false, "/node_modules/a": false, "node_modules/.bin": false, "node_modules/a/node_modules/../../x": false,
	} {
		if validPlace(place) != valid {
			t.Errorf("%q is valid: %v", place, !valid)
		}
	}
	lock := &lockfile{Packages: map[string]*lockEntry{
		"node_modules/a": {Version: "1"}, "node_modules/b": {Version: "1"}, "node_modules/a/node_modules/b": {Version: "2"},
		"node_modules/@s/c": {Version: "1"}, "node_modules/mac": {Version: "1", OS: list{"darwin"}}, "node_modules/not": {Version: "1", OS: list{"!linux"}},
	}}
	for _, c := range []struct{ from, name, want string }{
		{"node_modules/a", "b", "node_modules/a/node_modules/b"},
		{"node_modules/a/node_modules/b", "a", "node_modules/a"},
		{"node_modules/@s/c", "b", "node_modules/b"},
		{"node_modules/b", "@s/c", "node_modules/@s/c"},
		{"node_modules/a", "mac", ""},
		{"node_modules/a", "not", ""},
		{"node_modules/a", "../x", ""},
	} {
		if got := lock.find(c.from, c.name); got != c.want {
			t.Errorf("%s finds %s at %q", c.from, c.name, got)
		}
	}
}
