package api

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ZKPayload is an encrypted program, in the form of docs/zero-knowledge.md.
type ZKPayload struct {
	Version    int      `json:"version" minimum:"1" maximum:"1" doc:"The version of the form: 1." example:"1"`
	Language   string   `json:"language" enum:"python,javascript,typescript" doc:"What the program is written in. The ciphertext is bound to it." example:"python"`
	Name       string   `json:"name,omitempty" minLength:"1" maxLength:"128" doc:"The name that the ciphertext is bound to: it can only be stored and run under it." example:"report"`
	KDF        ZKKDF    `json:"kdf" doc:"How the key is made of the password."`
	Cipher     ZKCipher `json:"cipher" doc:"How the program is encrypted."`
	Ciphertext string   `json:"ciphertext" minLength:"1" doc:"The encrypted program and its tag, in standard base64 with padding. Of at most 1 MiB and 16 bytes."`
}

// ZKKDF are the parameters of Argon2id (RFC 9106).
type ZKKDF struct {
	Name        string `json:"name" enum:"argon2id" example:"argon2id"`
	Salt        string `json:"salt" doc:"16 bytes in standard base64 with padding." example:"AAECAwQFBgcICQoLDA0ODw=="`
	Time        int    `json:"time" minimum:"1" maximum:"10" doc:"Passes over the memory." example:"3"`
	MemoryKiB   int    `json:"memoryKiB" minimum:"8" maximum:"262144" doc:"At least 8 for each lane. It counts against limits.memoryBytes of a run." example:"65536"`
	Parallelism int    `json:"parallelism" minimum:"1" maximum:"16" doc:"Lanes." example:"4"`
}

// ZKCipher is the cipher and its nonce.
type ZKCipher struct {
	Name  string `json:"name" enum:"xchacha20-poly1305" example:"xchacha20-poly1305"`
	Nonce string `json:"nonce" doc:"24 bytes in standard base64 with padding. No two programs of one password and salt may have the same." example:"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"`
}

// EncryptedCodeMetadata is what is known of an encrypted program.
type EncryptedCodeMetadata struct {
	Name           string    `json:"name" example:"report"`
	Language       string    `json:"language" example:"python"`
	SizeBytes      int64     `json:"sizeBytes" doc:"The size of the ciphertext."`
	CreatedAt      Timestamp `json:"createdAt"`
	UpdatedAt      Timestamp `json:"updatedAt" doc:"When its ciphertext was last replaced."`
	LastExecutedAt Timestamp `json:"lastExecutedAt,omitzero" doc:"When it was last executed, or somebody tried to; noted shortly after the answer."`
}

// EncryptedCodeList lists encrypted programs.
type EncryptedCodeList struct {
	Code []EncryptedCodeMetadata `json:"code"`
}

// ZKEncryptRequest is a program to encrypt.
type ZKEncryptRequest struct {
	Code           string    `json:"code" minLength:"1" doc:"The program's source." example:"print(42)"`
	MasterPassword sensitive `json:"masterPassword" doc:"The password, of 1 to 1,024 bytes in UTF-8. It is used as it is, not normalised." example:"correct horse battery"`
	Language       string    `json:"language,omitempty" enum:"python,javascript,typescript" doc:"Default: python."`
}

// ZKExecuteRequest runs an encrypted program. It has the fields of
// ExecuteRequest but for code and language, which the program says.
type ZKExecuteRequest struct {
	MasterPassword sensitive `json:"masterPassword,omitempty" doc:"The password, of 1 to 1,024 bytes in UTF-8; or give sealedPassword and sandboxId." example:"correct horse battery"`
	SealedPassword string    `json:"sealedPassword,omitempty" minLength:"1" maxLength:"2048" doc:"The password encrypted to the sandbox's public key, in standard base64 with padding."`
	SandboxID      string    `json:"sandboxId,omitempty" minLength:"1" maxLength:"128" doc:"The sandbox that the password is sealed for. It serves one run."`
	ExecuteRequest
}

// ZKSandbox is a sandbox that waits for a sealed password.
type ZKSandbox struct {
	SandboxID string    `json:"sandboxId"`
	PublicKey string    `json:"publicKey" doc:"Of a key pair that was made in the sandbox, for HPKE (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305; 32 bytes in standard base64 with padding."`
	ExpiresAt Timestamp `json:"expiresAt" doc:"Until when its run must begin."`
}

// ZKCodeRef names an encrypted program. huma looks only into exported types.
type ZKCodeRef struct {
	Name string `path:"name" maxLength:"128" doc:"The program's name: 1 to 128 letters, digits, dots, underscores and hyphens, of which the first is a letter or digit." example:"report"`
}

type (
	encryptInput  struct{ body[ZKEncryptRequest] }
	payloadOutput struct{ Body ZKPayload }
	storeInput    struct {
		ZKCodeRef
		body[ZKPayload]
	}
	storeOutput struct {
		Status int
		Body   EncryptedCodeMetadata
	}
	codeByNameInput  struct{ ZKCodeRef }
	codesOutput      struct{ Body EncryptedCodeList }
	executeCodeInput struct {
		ZKCodeRef
		body[ZKExecuteRequest]
	}
	zkSandboxOutput struct{ Body ZKSandbox }
)

const (
	tagZK        = "Zero-Knowledge"
	zkPath       = "/api/v1/zk"
	zkCodePath   = zkPath + "/code"
	zkByNamePath = zkCodePath + "/{name}"
	// payloadBytes bounds the body of a program: 1 MiB and its tag in base64, and
	// room for the rest.
	payloadBytes = (1<<20+16)*4/3 + 64<<10
	// encryptBytes bounds what is to be encrypted, as executeBodyBytes does.
	encryptBytes = 6<<20 + 64<<10
)

func (h *Handler) registerZK() {
	payload := map[string]any{
		"version": 1, "language": "python",
		"kdf":        map[string]any{"name": "argon2id", "salt": "AAECAwQFBgcICQoLDA0ODw==", "time": 3, "memoryKiB": 65536, "parallelism": 4},
		"cipher":     map[string]any{"name": "xchacha20-poly1305", "nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"},
		"ciphertext": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA==",
	}
	metadata := map[string]any{
		"name": "report", "language": "python", "sizeBytes": 25, "createdAt": "2026-04-04T08:23:21.123Z", "updatedAt": "2026-04-04T08:23:21.123Z",
	}
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "encryptCode", Method: http.MethodPost, Path: zkPath + "/encrypt",
			Summary: "Encrypt a program, to try it", Tags: []string{tagZK},
			Description: "A helper for testing: here the server sees the program and the password, which it keeps neither of. Real clients encrypt themselves, as docs/zero-knowledge.md describes.",
		},
		maxBytes: encryptBytes,
		example:  map[string]any{"code": "print(42)", "masterPassword": "correct horse battery"},
		answer:   payload,
	}, offeredZK(h, h.encryptCode))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "putCode", Method: http.MethodPut, Path: zkByNamePath, DefaultStatus: http.StatusOK,
			Summary: "Store an encrypted program", Tags: []string{tagZK},
			Description: "Makes or replaces the program of that name. Form and bounds are checked; that the ciphertext can be opened nobody here can know.",
			Responses:   map[string]*huma.Response{"201": h.createdResponse(reflect.TypeFor[EncryptedCodeMetadata]())},
			Errors:      []int{http.StatusConflict},
		},
		maxBytes: payloadBytes,
		example:  payload, answer: metadata,
		action: pyth.ActionZKStored,
	}, offeredZK(h, h.putCode))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "listCode", Method: http.MethodGet, Path: zkCodePath,
			Summary: "List the encrypted programs", Tags: []string{tagZK},
			Description: "Lists the encrypted programs of yours by name.",
		},
		answer: map[string]any{"code": []any{metadata}},
	}, offeredZK(h, h.listCode))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "getCode", Method: http.MethodGet, Path: zkByNamePath,
			Summary: "Get an encrypted program", Tags: []string{tagZK},
			Description: "Returns the program as it was stored.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: payload,
	}, offeredZK(h, h.getCode))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "deleteCode", Method: http.MethodDelete, Path: zkByNamePath,
			Summary: "Delete an encrypted program", Tags: []string{tagZK},
			Description: "Deletes the program.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionZKDeleted,
	}, offeredZK(h, h.deleteCode))
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "executeCode", Method: http.MethodPost, Path: zkPath + "/execute/{name}",
			Summary: "Run an encrypted program", Tags: []string{tagZK},
			Description: "Runs the program as execute does. It is decrypted in the sandbox, which counts as part of the run. A wrong password is a run that fails: status is failed and error.name DecryptionError.",
			Responses:   h.runForms(),
			Errors:      []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits),
		timeout:  h.cfg.Limits.MaxTimeout + queueAllowance,
		example:  map[string]any{"masterPassword": "correct horse battery"},
		action:   pyth.ActionZKExecuted,
	}, offeredZK(h, h.executeCode))
	h.likeExecute()
	register(h, operation{
		Operation: huma.Operation{
			OperationID: "reserveSandbox", Method: http.MethodPost, Path: zkPath + "/sandboxes", DefaultStatus: http.StatusCreated,
			Summary: "Reserve a sandbox for a sealed password", Tags: []string{tagZK},
			Description: "Has a sandbox make a key pair. Seal the password to its public key, and this server only passes on what it cannot read. The sandbox serves one run and is destroyed.",
			Errors:      []int{http.StatusConflict},
		},
		answer: map[string]any{
			"sandboxId": "<sandbox id>", "publicKey": "QpLxdsSVMiu50b+HQbvi1lmGHHHc/WTNnrkxVSNCOQ4=", "expiresAt": "2026-04-04T08:28:21.123Z",
		},
	}, offeredZK(h, h.reserveSandbox))
}

// likeExecute gives ZKExecuteRequest the fields that ExecuteRequest has, with
// their bounds, but for those that the program says.
func (h *Handler) likeExecute() {
	registry := h.api.OpenAPI().Components.Schemas
	execute := registry.Schema(reflect.TypeFor[ExecuteRequest](), false, "")
	locked := registry.Schema(reflect.TypeFor[ZKExecuteRequest](), false, "")
	maps.Copy(locked.Properties, execute.Properties)
	for _, name := range []string{"code", "language"} {
		delete(locked.Properties, name)
		locked.Required = slices.DeleteFunc(locked.Required, func(r string) bool { return r == name })
	}
	locked.PrecomputeMessages()
}

func (h *Handler) createdResponse(body reflect.Type) *huma.Response {
	schema := h.api.OpenAPI().Components.Schemas.Schema(body, true, "")
	return &huma.Response{Description: "Created", Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// offeredZK is the handler where encrypted programs are kept.
func offeredZK[I, O any](h *Handler, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return where(h.cfg.ZK != nil, "encrypted programs", handle)
}

func (r *ZKEncryptRequest) confidential() (field string, to *sensitive) {
	return "masterPassword", &r.MasterPassword
}

func (r *ZKExecuteRequest) confidential() (field string, to *sensitive) {
	return "masterPassword", &r.MasterPassword
}

func (h *Handler) encryptCode(ctx context.Context, in *encryptInput) (*payloadOutput, error) {
	r := &in.Value
	defer clear(r.MasterPassword)
	c, err := h.cfg.ZK.Encrypt(ctx, languageOf(r.Language), []byte(r.Code), r.MasterPassword)
	if err != nil {
		return nil, err
	}
	return &payloadOutput{Body: zkPayload(c)}, nil
}

func (h *Handler) putCode(ctx context.Context, in *storeInput) (*storeOutput, error) {
	c, err := in.Value.code()
	if err != nil {
		return nil, err
	}
	stored, created, err := h.cfg.ZK.StoreCode(ctx, caller(ctx).User.ID, in.Name, c)
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return &storeOutput{Status: status, Body: encryptedCodeMetadata(stored)}, nil
}

func (h *Handler) listCode(ctx context.Context, _ *noInput) (*codesOutput, error) {
	all, err := h.cfg.ZK.Codes(ctx, caller(ctx).User.ID)
	if err != nil {
		return nil, err
	}
	out := EncryptedCodeList{Code: make([]EncryptedCodeMetadata, len(all))}
	for i, c := range all {
		out.Code[i] = encryptedCodeMetadata(c)
	}
	return &codesOutput{Body: out}, nil
}

func (h *Handler) getCode(ctx context.Context, in *codeByNameInput) (*payloadOutput, error) {
	c, err := h.cfg.ZK.Code(ctx, caller(ctx).User.ID, in.Name)
	if err != nil {
		return nil, err
	}
	return &payloadOutput{Body: zkPayload(c)}, nil
}

func (h *Handler) deleteCode(ctx context.Context, in *codeByNameInput) (*noOutput, error) {
	return nil, h.cfg.ZK.DeleteCode(ctx, caller(ctx).User.ID, in.Name)
}

func (h *Handler) reserveSandbox(ctx context.Context, _ *noInput) (*zkSandboxOutput, error) {
	r, err := h.cfg.ZK.Reserve(ctx, caller(ctx).User.ID)
	if err != nil {
		return nil, err
	}
	return &zkSandboxOutput{Body: ZKSandbox{
		SandboxID: string(r.ID), PublicKey: base64.StdEncoding.EncodeToString(r.PublicKey), ExpiresAt: Timestamp(r.ExpiresAt),
	}}, nil
}

func (h *Handler) executeCode(ctx context.Context, in *executeCodeInput) (*executeOutput, error) {
	defer clear(in.Value.MasterPassword)
	locked, err := in.Value.locked()
	if err != nil {
		return nil, err
	}
	program, err := in.Value.program()
	if err != nil {
		return nil, err
	}
	user := caller(ctx).User.ID
	if locked.Code, err = h.cfg.ZK.Code(ctx, user, in.Name); err != nil {
		h.noteDenied(ctx, err)
		return nil, err
	}
	locked.Name = in.Name
	program.Language, program.Encrypted = locked.Code.Language, locked
	out, err := h.run(ctx, in.r, in.w, program)
	if err == nil {
		h.cfg.ZK.NoteExecuted(user, in.Name)
	}
	return out, err
}

// locked is what opens the program, which the caller adds.
func (r *ZKExecuteRequest) locked() (*pyth.EncryptedJob, error) {
	fault := func(location, message string) error { return pyth.Invalid(location, "%s", message) }
	switch {
	case r.SealedPassword == "" && r.SandboxID == "":
		if len(r.MasterPassword) == 0 {
			return nil, fault("body.masterPassword", "is required, or sealedPassword and sandboxId are")
		}
		return &pyth.EncryptedJob{Password: r.MasterPassword}, nil
	case len(r.MasterPassword) > 0:
		return nil, fault("body.masterPassword", "must be left out beside sealedPassword and sandboxId")
	case r.SealedPassword == "":
		return nil, fault("body.sealedPassword", "is required with sandboxId")
	case r.SandboxID == "":
		return nil, fault("body.sandboxId", "is required with sealedPassword")
	}
	sealed, err := decodeBase64(r.SealedPassword)
	if err != nil {
		return nil, fault("body.sealedPassword", notBase64)
	}
	return &pyth.EncryptedJob{Sealed: sealed, Sandbox: pyth.ReservationID(r.SandboxID)}, nil
}

const notBase64 = "is not standard base64 with padding"

// code is the payload in the server's terms.
func (p *ZKPayload) code() (*pyth.EncryptedProgram, error) {
	c := &pyth.EncryptedProgram{
		Language: pyth.Language(p.Language),
		Name:     p.Name,
		KDF:      pyth.KDF{Time: p.KDF.Time, MemoryKiB: p.KDF.MemoryKiB, Parallelism: p.KDF.Parallelism},
	}
	var faults pyth.FieldErrors
	for _, field := range []struct {
		location, text string
		to             *[]byte
	}{
		{"body.cipher.nonce", p.Cipher.Nonce, &c.Nonce},
		{"body.ciphertext", p.Ciphertext, &c.Ciphertext},
		{"body.kdf.salt", p.KDF.Salt, &c.KDF.Salt},
	} {
		var err error
		if *field.to, err = decodeBase64(field.text); err != nil {
			faults.Add(field.location, notBase64)
		}
	}
	return c, faults.Err()
}

func zkPayload(c *pyth.EncryptedProgram) ZKPayload {
	encode := base64.StdEncoding.EncodeToString
	return ZKPayload{
		Version:  1,
		Language: string(c.Language),
		Name:     c.Name,
		KDF: ZKKDF{
			Name: "argon2id", Salt: encode(c.KDF.Salt), Time: c.KDF.Time, MemoryKiB: c.KDF.MemoryKiB, Parallelism: c.KDF.Parallelism,
		},
		Cipher:     ZKCipher{Name: "xchacha20-poly1305", Nonce: encode(c.Nonce)},
		Ciphertext: encode(c.Ciphertext),
	}
}

func encryptedCodeMetadata(c *pyth.StoredProgram) EncryptedCodeMetadata {
	return EncryptedCodeMetadata{
		Name:           c.Name,
		Language:       string(c.Language),
		SizeBytes:      c.SizeBytes,
		CreatedAt:      Timestamp(c.CreatedAt),
		UpdatedAt:      Timestamp(c.UpdatedAt),
		LastExecutedAt: Timestamp(c.LastExecutedAt),
	}
}
