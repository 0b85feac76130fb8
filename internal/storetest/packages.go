package storetest

import (
	"fmt"
	"sync"
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func packageList(revision int, layer pyth.LayerID, places ...string) *pyth.PackageList {
	list := &pyth.PackageList{Runtime: pyth.PythonRuntime, Revision: revision, Layer: layer}
	for i, place := range places {
		list.Packages = append(list.Packages, &pyth.PinnedPackage{
			Package: pyth.Package{
				Name: place, Version: fmt.Sprint(revision), Requirement: place + ">=1", Language: pyth.Python,
				Direct: i == 0, SizeBytes: int64(i) << 33, InstalledAt: start,
			},
			Place: place, URL: "https://index.example/" + place, Hash: "sha256-" + place, Requires: places[:i],
		})
	}
	return list
}

func testPackageList(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	create(t, s, "ada")
	create(t, s, "bob")
	get := func(user pyth.UserID, runtime pyth.Runtime) *pyth.PackageList {
		t.Helper()
		list, err := s.PackageList(ctx, user, runtime)
		want(t, err, "")
		return list
	}
	same(t, &pyth.PackageList{Runtime: pyth.PythonRuntime}, get("ada", pyth.PythonRuntime))
	want(t, s.PutPackageList(ctx, "ada", packageList(2, "layer", "a")), pyth.CodeConflict)
	want(t, s.PutPackageList(ctx, "ada", packageList(1, "first", "a", "b", "c")), "")
	same(t, packageList(1, "first", "a", "b", "c"), get("ada", pyth.PythonRuntime))
	want(t, s.PutPackageList(ctx, "ada", packageList(1, "again", "a")), pyth.CodeConflict)
	want(t, s.PutPackageList(ctx, "ada", packageList(3, "later", "a")), pyth.CodeConflict)
	want(t, s.PutPackageList(ctx, "ada", packageList(2, "second", "b", "d")), "")
	same(t, packageList(2, "second", "b", "d"), get("ada", pyth.PythonRuntime))

	node := packageList(1, "node", "node_modules/a/node_modules/b")
	node.Runtime = pyth.NodeRuntime
	want(t, s.PutPackageList(ctx, "ada", node), "")
	same(t, node, get("ada", pyth.NodeRuntime))
	want(t, s.PutPackageList(ctx, "bob", packageList(1, "second", "b", "d")), "")
	layers, err := s.PackageLayers(ctx, "ada")
	want(t, err, "")
	same(t, pyth.Layers{}.With(pyth.PythonRuntime, "second").With(pyth.NodeRuntime, "node"), layers)
	layers, err = s.PackageLayers(ctx, "eve")
	want(t, err, "")
	same(t, pyth.Layers{}, layers)
	used, err := s.UsedLayers(ctx)
	want(t, err, "")
	same(t, []pyth.LayerID{"node", "second"}, used)

	want(t, s.PutPackageList(ctx, "ada", packageList(3, "")), "")
	same(t, packageList(3, ""), get("ada", pyth.PythonRuntime))
	same(t, packageList(1, "second", "b", "d"), get("bob", pyth.PythonRuntime))
	if s.PutPackageList(ctx, "nobody", packageList(1, "x")) == nil {
		t.Error("the store accepted a package list of a user who does not exist")
	}
}

func testPackageListRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for i := range 4 {
		wg.Go(func() {
			err := s.PutPackageList(t.Context(), "ada", packageList(1, pyth.LayerID(fmt.Sprint("layer", i)), fmt.Sprint("p", i)))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else {
				want(t, err, pyth.CodeConflict)
			}
		})
	}
	wg.Wait()
	list, err := s.PackageList(t.Context(), "ada", pyth.PythonRuntime)
	want(t, err, "")
	if made != 1 || len(list.Packages) != 1 || "p"+string(list.Layer[len("layer"):]) != list.Packages[0].Name {
		t.Errorf("%d changes succeeded, want 1; the stored list is %+v", made, list)
	}
}
