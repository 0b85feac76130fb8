package images

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
)

// chunkBytes is the size of one part of an image. Each part is encrypted separately.
const chunkBytes = 64 << 10

var errDamaged = errors.New("images: the object is damaged, or belongs to another joining token")

// keys derives the name and the encryption key of an object from the joining token and
// the hash of the image. So the names do not reveal which packages a cluster uses. The
// number of each part is also its nonce. This is safe, because each key encrypts only
// one image.
type keys struct{ token []byte }

func (k *keys) of(hash []byte) (name string, aead cipher.AEAD, err error) {
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Key(sha256.New, k.token, hash, "pyth-on/image "+purpose+"/1", sha256.Size)
	}
	id, err := derive("name")
	if err != nil {
		return "", nil, err
	}
	key, err := derive("key")
	if err != nil {
		return "", nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", nil, err
	}
	aead, err = cipher.NewGCM(block)
	return hex.EncodeToString(id), aead, err
}

// nonce returns the nonce of part number n.
func nonce(n uint64) []byte {
	b := make([]byte, 12)
	binary.BigEndian.PutUint64(b[4:], n)
	return b
}

// encrypter is a reader that reads from another reader and encrypts the content.
type encrypter struct {
	from  io.Reader
	aead  cipher.AEAD
	parts uint64
	plain []byte
	// The field "ready" contains encrypted bytes of the current part that the caller
	// has not read yet.
	ready []byte
	err   error
}

func newEncrypter(from io.Reader, aead cipher.AEAD) *encrypter {
	return &encrypter{from: from, aead: aead, plain: make([]byte, chunkBytes)}
}

// Read implements io.Reader.
func (e *encrypter) Read(to []byte) (int, error) {
	for len(e.ready) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		n, err := io.ReadFull(e.from, e.plain)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		e.err = err
		if n > 0 {
			e.ready = e.aead.Seal(nil, nonce(e.parts), e.plain[:n], nil)
			e.parts++
		}
	}
	n := copy(to, e.ready)
	e.ready = e.ready[n:]
	return n, nil
}

// The function "decrypt" decrypts an object and writes the content to a writer. If the
// last parts are missing, it returns no error, because the caller checks the hash of
// the content.
func decrypt(to io.Writer, from io.Reader, aead cipher.AEAD) error {
	sealed := make([]byte, chunkBytes+aead.Overhead())
	for part := uint64(0); ; part++ {
		n, err := io.ReadFull(from, sealed)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		plain, failed := aead.Open(sealed[:0], nonce(part), sealed[:n], nil)
		if failed != nil {
			return errDamaged
		}
		if _, err := to.Write(plain); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}
