// Command audit-proof verifies the response of GET /api/v1/audit/{id}/proof. The
// command does not trust the server. It uses only the standard library of Go.
//
//	curl -sS $URL/api/v1/audit/$ID/proof -H "x-api-key: $KEY" | audit-proof "$VERIFIER_KEY"
//
// VERIFIER_KEY is the output of `pyth-on audit key`. Ask the operator for this key
// once. Do not get the key from the server that you want to check.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

type proof struct {
	Record          []byte
	Index, TreeSize int64
	Hashes          [][]byte
	Checkpoint      string
}

func main() {
	var p proof
	err := errors.New("usage: audit-proof VERIFIER_KEY < proof.json")
	if len(os.Args) == 2 {
		if err = json.NewDecoder(os.Stdin).Decode(&p); err == nil {
			err = p.check(os.Args[1])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "audit-proof:", err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stdout, "entry %d of %d is in the log:\n%s\n", p.Index, p.TreeSize, p.Record)
}

// check verifies the proof. The hashes must lead from the record to the root of the
// tree, and the root must have a valid signature of the key.
func (p *proof) check(key string) error {
	text, signature, ok := strings.Cut(p.Checkpoint, "\n\n")
	if !ok {
		return io.ErrUnexpectedEOF
	}
	// The key has the form name+hash+base64(1, public key), as in the C2SP
	// specification "signed-note". A signature line has the form "— name base64(hash,
	// signature)". The signature signs the text above the signature lines.
	parts := strings.SplitN(key, "+", 3)
	if len(parts) != 3 {
		return errors.New("VERIFIER_KEY is not a verifier key: use the output of `pyth-on audit key`")
	}
	public, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(public) != 1+ed25519.PublicKeySize || public[0] != 1 {
		return errors.New("VERIFIER_KEY is not a verifier key: use the output of `pyth-on audit key`")
	}
	signed := false
	for line := range strings.Lines(signature) {
		s, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "— "+parts[0]+" ")
		b, err := base64.StdEncoding.DecodeString(s)
		signed = signed || found && err == nil && len(b) > 4 && ed25519.Verify(public[1:], []byte(text+"\n"), b[4:])
	}
	if !signed {
		return errors.New("the checkpoint is not signed with this key")
	}
	if p.Index < 0 || p.Index >= p.TreeSize {
		return errors.New("the entry is outside the tree")
	}
	// Compute the hashes from the leaf to the root (RFC 9162, section 2.1.3.2).
	hash := sha256.Sum256(append([]byte{0}, p.Record...))
	fn, sn := p.Index, p.TreeSize-1
	for _, h := range p.Hashes {
		if len(h) != sha256.Size || sn == 0 {
			return errors.New("the list of hashes is too long, or contains an invalid hash")
		}
		if fn&1 == 1 || fn == sn {
			hash = sha256.Sum256(bytes.Join([][]byte{{1}, h, hash[:]}, nil))
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			hash = sha256.Sum256(bytes.Join([][]byte{{1}, hash[:], h}, nil))
		}
		fn, sn = fn>>1, sn>>1
	}
	// The first three lines of a checkpoint are the name of the log, the size of the
	// tree, and the root of the tree.
	if want := fmt.Sprintf("%s\n%d\n%s", parts[0], p.TreeSize, base64.StdEncoding.EncodeToString(hash[:])); sn != 0 || text != want {
		return errors.New("the root computed from the record is not the root in the checkpoint")
	}
	return nil
}
