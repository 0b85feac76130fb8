package storetest

import (
	"testing"

	pyth "github.com/pyth-on/pyth-on"
)

func testDataKeys(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	keys, err := s.DataKeys(ctx, "", 10)
	want(t, err, "")
	same(t, 0, len(keys))
	ada, bob, eve := create(t, s, "ada").data, create(t, s, "bob").data, create(t, s, "eve").data
	keys, err = s.DataKeys(ctx, "", 2)
	want(t, err, "")
	same(t, []*pyth.DataKey{ada, bob}, keys)
	keys, err = s.DataKeys(ctx, "bob", 2)
	want(t, err, "")
	same(t, []*pyth.DataKey{eve}, keys)
}

func testRewrap(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	ada, bob := create(t, s, "ada").data, create(t, s, "bob").data
	keys, err := s.DataKeysNotUnder(ctx, "root", 10)
	want(t, err, "")
	same(t, 0, len(keys))
	want(t, s.RetireRootKeys(ctx, []string{"root", "older"}), "")
	want(t, s.RetireRootKeys(ctx, []string{"root"}), "")
	keys, err = s.DataKeysNotUnder(ctx, "new", 1)
	want(t, err, "")
	same(t, 1, len(keys))

	late := newAccount("eve")
	want(t, s.CreateUser(ctx, late.user, late.key, late.data), pyth.CodeConflict)
	_, err = s.User(ctx, "eve")
	want(t, err, pyth.CodeNotFound)
	late.data.Wrapped.RootKey = "new"
	want(t, s.CreateUser(ctx, late.user, late.key, late.data), "")

	ada.Wrapped = pyth.WrappedKey{RootKey: "new", Bytes: []byte("ada's anew")}
	bob.Wrapped = pyth.WrappedKey{RootKey: "new", Bytes: []byte("bob's anew")}
	another := *bob
	another.Version++
	want(t, s.RewrapDataKeys(ctx, []*pyth.DataKey{ada, &another}), "")
	keys, err = s.DataKeysNotUnder(ctx, "new", 10)
	want(t, err, "")
	if len(keys) != 1 || keys[0].UserID != "bob" || keys[0].Wrapped.RootKey != "root" {
		t.Errorf("got %+v", keys)
	}
	want(t, s.RewrapDataKeys(ctx, []*pyth.DataKey{bob}), "")
	for _, k := range []*pyth.DataKey{ada, bob} {
		got, err := s.DataKey(ctx, k.UserID)
		want(t, err, "")
		same(t, k, got)
	}
}

func testServerKeys(t *testing.T, s pyth.Store) {
	ctx := t.Context()
	_, err := s.ServerKey(ctx, "signing")
	want(t, err, pyth.CodeNotFound)
	k := &pyth.ServerKey{Name: "signing", Wrapped: pyth.WrappedKey{RootKey: "root", Bytes: []byte("wrapped")}}
	want(t, s.CreateServerKey(ctx, k), "")
	want(t, s.CreateServerKey(ctx, &pyth.ServerKey{Name: "signing", Wrapped: pyth.WrappedKey{RootKey: "root", Bytes: []byte("other")}}), pyth.CodeConflict)
	got, err := s.ServerKey(ctx, "signing")
	want(t, err, "")
	same(t, k, got)
	want(t, s.RetireRootKeys(ctx, []string{"root"}), "")
	want(t, s.CreateServerKey(ctx, &pyth.ServerKey{Name: "late", Wrapped: k.Wrapped}), pyth.CodeConflict)
	k.Wrapped = pyth.WrappedKey{RootKey: "newest", Bytes: []byte("anew")}
	want(t, s.RewrapServerKey(ctx, k), "")
	all, err := s.ServerKeys(ctx)
	want(t, err, "")
	same(t, []*pyth.ServerKey{k}, all)
}
