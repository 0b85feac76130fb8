package storetest

import (
	"fmt"
	"testing"
	"time"

	pyth "github.com/pyth-on/pyth-on"
)

const plenty = 1000

// The function "encrypted" returns an encrypted program. Every field depends on n.
// Therefore a test notices if the store confuses fields or programs.
func encrypted(bound string, n int) *pyth.EncryptedProgram {
	b := byte(n)
	return &pyth.EncryptedProgram{
		Language:   pyth.JavaScript,
		Name:       bound,
		KDF:        pyth.KDF{Salt: []byte{b, 0, 1}, Time: n + 1, MemoryKiB: n + 8, Parallelism: n + 2},
		Nonce:      []byte{0, b},
		Ciphertext: make([]byte, n+1),
	}
}

func testCode(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	for name, c := range map[string]*pyth.EncryptedProgram{"a": encrypted("a", 3), "A.b-c_d": encrypted("", 5), "large": encrypted("", 1<<20+15)} {
		stored, created, err := s.StoreCode(t.Context(), "ada", name, c, start, plenty)
		want(t, err, "")
		same(t, &pyth.StoredProgram{Name: name, Language: pyth.JavaScript, SizeBytes: int64(len(c.Ciphertext)), CreatedAt: start, UpdatedAt: start}, stored)
		same(t, true, created)
		got, err := s.Code(t.Context(), "ada", name)
		want(t, err, "")
		same(t, c, got)
	}
	for user, name := range map[pyth.UserID]string{"bob": "a", "ada": "a.b-c_d"} {
		_, err := s.Code(t.Context(), user, name)
		want(t, err, pyth.CodeNotFound)
		want(t, s.DeleteCode(t.Context(), user, name), pyth.CodeNotFound)
		want(t, s.NoteExecuted(t.Context(), user, name, start), "")
	}
	want(t, s.DeleteCode(t.Context(), "ada", "a"), "")
	_, err := s.Code(t.Context(), "ada", "a")
	want(t, err, pyth.CodeNotFound)
	_, err = s.Code(t.Context(), "ada", "large")
	want(t, err, "")
}

func testReplaceCode(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	ran, replaced := start.Add(time.Minute), start.Add(time.Hour)
	_, _, err := s.StoreCode(t.Context(), "ada", "a", encrypted("a", 1), start, 1)
	want(t, err, "")
	want(t, s.NoteExecuted(t.Context(), "ada", "a", ran), "")
	c := encrypted("", 2)
	c.Language = pyth.Python
	stored, created, err := s.StoreCode(t.Context(), "ada", "a", c, replaced, 1)
	want(t, err, "")
	expected := &pyth.StoredProgram{Name: "a", Language: pyth.Python, SizeBytes: 3, CreatedAt: start, UpdatedAt: replaced, LastExecutedAt: ran}
	same(t, expected, stored)
	same(t, false, created)
	got, err := s.Code(t.Context(), "ada", "a")
	want(t, err, "")
	same(t, c, got)
	all, err := s.Codes(t.Context(), "ada")
	want(t, err, "")
	same(t, []*pyth.StoredProgram{expected}, all)
}

func testCodes(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	for i, name := range []string{"b", "a", "B", "a.1"} {
		_, _, err := s.StoreCode(t.Context(), "ada", name, encrypted("", i), start, plenty)
		want(t, err, "")
	}
	all, err := s.Codes(t.Context(), "ada")
	want(t, err, "")
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.Name)
	}
	same(t, []string{"B", "a", "a.1", "b"}, names)
	all, err = s.Codes(t.Context(), "bob")
	want(t, err, "")
	same(t, 0, len(all))
	for user, expected := range map[pyth.UserID]int64{"ada": 4, "bob": 0} {
		n, err := s.CountCodes(t.Context(), user)
		want(t, err, "")
		same(t, expected, n)
	}
}

func testTooMuchCode(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	create(t, s, "bob")
	store := func(user pyth.UserID, name string) error {
		_, _, err := s.StoreCode(t.Context(), user, name, encrypted("", 1), start, 2)
		return err
	}
	want(t, store("ada", "a"), "")
	want(t, store("ada", "b"), "")
	want(t, store("ada", "c"), pyth.CodeConflict)
	want(t, store("ada", "a"), "")
	want(t, store("bob", "c"), "")
	want(t, s.DeleteCode(t.Context(), "ada", "a"), "")
	want(t, store("ada", "c"), "")
}

func testCodeRace(t *testing.T, s pyth.Store) {
	create(t, s, "ada")
	got := race(8, func(i int) error {
		_, _, err := s.StoreCode(t.Context(), "ada", fmt.Sprint("code", i), encrypted("", 1), start, 3)
		return err
	})
	same(t, map[pyth.Code]int{"": 3, pyth.CodeConflict: 5}, got)
}
