package log

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// logName is the name of the log and of the signing key. It is the first line of
// every checkpoint.
const logName = "pyth-on"

// Keys provides the server's keys.
type Keys interface {
	ServerKey(ctx context.Context, name string, length int) ([]byte, error)
}

// Seed returns the seed of the signing key. The seed never changes: a rotation of the
// root key encrypts the same seed with the new root key.
func Seed(ctx context.Context, keys Keys) ([]byte, error) {
	return keys.ServerKey(ctx, "audit", ed25519.SeedSize)
}

// VerifierKey returns the public key for the seed. It has the format of C2SP
// signed-note: a name, the hash of the key, and the key.
func VerifierKey(seed []byte) (string, error) {
	if len(seed) != ed25519.SeedSize {
		return "", fmt.Errorf("audit: the seed has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(logName, public)
}

// signer signs checkpoints. It implements note.Signer.
type signer struct {
	note.Verifier
	private ed25519.PrivateKey
	key     string
}

var _ note.Signer = (*signer)(nil)

func newSigner(seed []byte) (*signer, error) {
	key, err := VerifierKey(seed)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return nil, err
	}
	return &signer{Verifier: verifier, private: ed25519.NewKeyFromSeed(seed), key: key}, nil
}

// Sign signs the text of a note.
func (s *signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.private, text), nil }

// sign returns a signed checkpoint, which contains the size and the root hash of the
// tree.
func (s *signer) sign(t *tree) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%v\n", logName, t.size, t.root())
	return note.Sign(&note.Note{Text: text}, s)
}

// maxCheckpoint is the maximum size of a checkpoint in bytes. The checkpoints of this
// server have about 200 bytes.
const maxCheckpoint = 64 << 10

// openCheckpoint verifies the signature of a checkpoint. It returns the size and the
// root hash that the checkpoint contains.
func openCheckpoint(signed []byte, key string) (tlog.Tree, error) {
	if len(signed) == 0 {
		return tlog.Tree{}, errors.New("there is no checkpoint")
	}
	if len(signed) > maxCheckpoint {
		return tlog.Tree{}, errors.New("the checkpoint is too long")
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the key: %w", err)
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is not signed by %s: %w", key, err)
	}
	return parseCheckpoint(n.Text, verifier.Name())
}

// parseCheckpoint parses the text of a checkpoint (C2SP tlog-checkpoint). The first three
// lines are the origin, the size and the root. Further lines are extensions, and
// parseCheckpoint ignores them.
func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("the checkpoint does not belong to the log %q", origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, errors.New("the checkpoint has no size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, errors.New("the checkpoint has no root")
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}
