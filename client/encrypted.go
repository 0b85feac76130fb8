package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"iter"
	"net/http"
	"net/url"

	"github.com/pyth-on/pyth-on/internal/encrypted/lockbox"
)

const encryptedPath = "/api/v1/zk/code"

// KeyCost is the cost of the key derivation with Argon2id.
type KeyCost struct {
	Time, MemoryKiB uint32
	Parallelism     uint8
}

// DefaultKeyCost is the cost that RFC 9106 recommends.
var DefaultKeyCost = KeyCost{Time: 3, MemoryKiB: 64 << 10, Parallelism: 4}

// Encrypt encrypts a program with a password. Argon2id derives the key from the
// password, and XChaCha20-Poly1305 encrypts the program. If the name is not "", the
// server can store and run the program only under this name. Encrypt does not change or
// normalize the password before it derives the key.
func Encrypt(code, password []byte, language Language, name string, cost KeyCost) (*ZKPayload, error) {
	box := &lockbox.Box{
		Language: string(language), Name: name, Nonce: make([]byte, lockbox.NonceBytes),
		KDF: lockbox.KDF{Salt: make([]byte, lockbox.SaltBytes), Time: cost.Time, MemoryKiB: cost.MemoryKiB, Parallelism: cost.Parallelism},
	}
	_, _ = rand.Read(box.Nonce) // rand.Read never fails.
	_, _ = rand.Read(box.KDF.Salt)
	return encrypt(box, code, password)
}

func encrypt(box *lockbox.Box, code, password []byte) (*ZKPayload, error) {
	ciphertext, err := box.Seal(code, password)
	if err != nil {
		return nil, err
	}
	encode := base64.StdEncoding.EncodeToString
	return &ZKPayload{
		Version: 1, Language: Language(box.Language), Name: box.Name, Ciphertext: encode(ciphertext),
		KDF: ZKKDF{
			Name: "argon2id", Salt: encode(box.KDF.Salt), Time: int64(box.KDF.Time),
			MemoryKiB: int64(box.KDF.MemoryKiB), Parallelism: int64(box.KDF.Parallelism),
		},
		Cipher: ZKCipher{Name: "xchacha20-poly1305", Nonce: encode(box.Nonce)},
	}, nil
}

// StoreEncrypted encrypts a program and stores it under the name. The server receives
// neither the code nor the password.
func (c *Client) StoreEncrypted(ctx context.Context, name string, language Language, code, password []byte) (*EncryptedCodeMetadata, error) {
	payload, err := Encrypt(code, password, language, name, DefaultKeyCost)
	if err != nil {
		return nil, err
	}
	return c.StorePayload(ctx, name, payload)
}

// StorePayload stores a program that was encrypted with Encrypt.
func (c *Client) StorePayload(ctx context.Context, name string, payload *ZKPayload) (*EncryptedCodeMetadata, error) {
	answer := new(EncryptedCodeMetadata)
	return answer, c.Call(ctx, http.MethodPut, encryptedPath+"/"+url.PathEscape(name), payload, answer)
}

// EncryptedPrograms returns the encrypted programs of the user.
func (c *Client) EncryptedPrograms(ctx context.Context) ([]EncryptedCodeMetadata, error) {
	var answer EncryptedCodeList
	err := c.Call(ctx, http.MethodGet, encryptedPath, nil, &answer)
	return answer.Code, err
}

// DeleteEncrypted deletes an encrypted program.
func (c *Client) DeleteEncrypted(ctx context.Context, name string) error {
	return c.Call(ctx, http.MethodDelete, encryptedPath+"/"+url.PathEscape(name), nil, nil)
}

// RunEncrypted runs an encrypted program. It reserves a sandbox, and encrypts the
// password with a key that only this sandbox can use for decryption. If the password is
// wrong, the result contains the error DecryptionError. The options can be nil.
func (c *Client) RunEncrypted(ctx context.Context, name string, password []byte, options *RunOptions) (*ExecuteResponse, error) {
	r, err := c.sealed(ctx, name, password, options)
	if err != nil {
		return nil, err
	}
	run := new(ExecuteResponse)
	return run, c.do(ctx, r, run)
}

// StreamEncrypted runs an encrypted program like RunEncrypted, but returns the events
// of the run.
func (c *Client) StreamEncrypted(ctx context.Context, name string, password []byte, options *RunOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		r, err := c.sealed(ctx, name, password, options)
		if err != nil {
			yield(nil, err)
			return
		}
		events(c.stream(ctx, r))(yield)
	}
}

// sealed returns the request that runs an encrypted program. The request contains the
// password in encrypted form.
func (c *Client) sealed(ctx context.Context, name string, password []byte, options *RunOptions) (*call, error) {
	var sandbox ZKSandbox
	reserve := &call{method: http.MethodPost, path: "/api/v1/zk/sandboxes", header: idempotent(), repeatable: true}
	if err := c.do(ctx, reserve, &sandbox); err != nil {
		return nil, err
	}
	public, err := base64.StdEncoding.DecodeString(sandbox.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the public key of the sandbox: %w", err)
	}
	sealed, err := lockbox.SealPassword(public, password, sandbox.SandboxID)
	if err != nil {
		return nil, err
	}
	if options == nil {
		options = new(RunOptions)
	}
	return &call{method: http.MethodPost, path: "/api/v1/zk/execute/" + url.PathEscape(name), body: &ZKSealedExecuteRequest{
		SandboxID: sandbox.SandboxID, SealedPassword: base64.StdEncoding.EncodeToString(sealed),
		Args: options.Args, Env: options.Env, Files: options.Files, Isolation: options.Isolation, Labels: options.Labels,
		Limits: options.Limits, Network: options.Network, OutputFiles: options.OutputFiles, RedactSecrets: options.RedactSecrets,
		Results: options.Results, Runtime: options.Runtime, Secrets: options.Secrets, SessionID: options.SessionID,
		Stdin: options.Stdin, Store: options.Store, TimeoutMs: options.TimeoutMs,
	}}, nil
}
