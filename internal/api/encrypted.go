package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/api/body"
)

// ZKPayload is an encrypted program, in the format of docs/zero-knowledge.md.
type ZKPayload struct {
	_ struct{} `doc:"An encrypted program."`

	Version    int      `json:"version" minimum:"1" maximum:"1" doc:"The version of the format: 1." example:"1"`
	Language   Language `json:"language" doc:"The language of the program. The language is part of the associated data of the ciphertext." example:"python"`
	Name       string   `json:"name,omitempty" minLength:"1" maxLength:"128" doc:"The name of the program. The name is part of the associated data of the ciphertext. If the name is present, you can store and run the program only under this name." example:"report"`
	KDF        ZKKDF    `json:"kdf" doc:"How the key is derived from the password."`
	Cipher     ZKCipher `json:"cipher" doc:"How the program is encrypted."`
	Ciphertext string   `json:"ciphertext" minLength:"1" doc:"The encrypted program with its tag, at most 1 MiB and 16 bytes, in standard base64 with padding." example:"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA=="`
}

// ZKKDF contains the parameters of the key derivation with Argon2id (RFC 9106).
type ZKKDF struct {
	_ struct{} `doc:"The parameters of Argon2id (RFC 9106)."`

	Name        string `json:"name" enum:"argon2id" doc:"The key derivation function: argon2id." example:"argon2id"`
	Salt        string `json:"salt" doc:"The salt: 16 bytes in standard base64 with padding." example:"AAECAwQFBgcICQoLDA0ODw=="`
	Time        int    `json:"time" minimum:"1" maximum:"10" doc:"The number of passes over the memory." example:"3"`
	MemoryKiB   int    `json:"memoryKiB" minimum:"8" maximum:"262144" doc:"The memory in KiB, at least 8 KiB for each lane. The limit memoryBytes of a run must be at least 32 MiB more than this memory." example:"65536"`
	Parallelism int    `json:"parallelism" minimum:"1" maximum:"16" doc:"The number of lanes." example:"4"`
}

// ZKCipher contains the name of a cipher and the nonce for this cipher.
type ZKCipher struct {
	_ struct{} `doc:"A cipher and its nonce."`

	Name  string `json:"name" enum:"xchacha20-poly1305" doc:"The cipher: xchacha20-poly1305." example:"xchacha20-poly1305"`
	Nonce string `json:"nonce" doc:"The nonce: 24 bytes in standard base64 with padding. Never use a nonce twice with the same password and salt." example:"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"`
}

// EncryptedCodeMetadata describes an encrypted program without its content.
type EncryptedCodeMetadata struct {
	_ struct{} `doc:"Information about an encrypted program, without the program itself."`

	Name           string    `json:"name" doc:"The name of the program." example:"report"`
	Language       Language  `json:"language" doc:"The language of the program." example:"python"`
	SizeBytes      int64     `json:"sizeBytes" doc:"The size of the ciphertext." example:"25"`
	CreatedAt      Timestamp `json:"createdAt" doc:"When the program was first stored."`
	UpdatedAt      Timestamp `json:"updatedAt" doc:"When the ciphertext was last replaced."`
	LastExecutedAt Timestamp `json:"lastExecutedAt,omitzero" doc:"When the program was last run, even if the run failed. The server stores this time shortly after the response."`
}

// EncryptedCodeList contains the encrypted programs of a user.
type EncryptedCodeList struct {
	_ struct{} `doc:"The encrypted programs of a user."`

	Code []EncryptedCodeMetadata `json:"code" doc:"The programs, sorted by name."`
}

// ZKEncryptRequest is the body of encryptProgram.
type ZKEncryptRequest struct {
	_ struct{} `doc:"A program to encrypt."`

	Code           string         `json:"code" minLength:"1" doc:"The source code of the program." example:"print(42)"`
	MasterPassword body.Sensitive `json:"masterPassword" doc:"The password: 1 to 1,024 bytes of UTF-8. The server uses the bytes unchanged." example:"correct horse battery"`
	Language       Language       `json:"language,omitempty" default:"python" doc:"The language of the program."`
}

// ZKExecuteRequest is the body of a request that runs an encrypted program. It has the
// fields of ExecuteRequest except code and language. These two fields are part of the
// stored program.
type ZKExecuteRequest struct {
	_ struct{} `doc:"The settings of a run of an encrypted program. The request must have either masterPassword, or both sealedPassword and sandboxId."`

	MasterPassword body.Sensitive `json:"masterPassword,omitempty" doc:"The password: 1 to 1,024 bytes of UTF-8."`
	SealedPassword string         `json:"sealedPassword,omitempty" minLength:"1" maxLength:"2048" doc:"The password, encrypted with the public key of the sandbox, in standard base64 with padding."`
	SandboxID      string         `json:"sandboxId,omitempty" minLength:"1" maxLength:"128" doc:"The ID of the reserved sandbox, which can be used for one run."`
	RunOptions
}

// ZKPasswordExecuteRequest is the variant of ZKExecuteRequest that contains the
// password.
type ZKPasswordExecuteRequest struct {
	_ struct{} `doc:"A run of an encrypted program with the password in the request."`

	MasterPassword body.Sensitive `json:"masterPassword" doc:"The password: 1 to 1,024 bytes of UTF-8." example:"correct horse battery"`
	RunOptions
}

// ZKSealedExecuteRequest is the variant of ZKExecuteRequest that contains the encrypted
// password. Only the reserved sandbox can decrypt this password. The server cannot
// decrypt it.
type ZKSealedExecuteRequest struct {
	_ struct{} `doc:"A run of an encrypted program. The password is encrypted with the public key of a reserved sandbox."`

	SealedPassword string `json:"sealedPassword" minLength:"1" maxLength:"2048" doc:"The password, encrypted with the public key of the sandbox, in standard base64 with padding." example:"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGA=="`
	SandboxID      string `json:"sandboxId" minLength:"1" maxLength:"128" doc:"The ID of the reserved sandbox, which can be used for one run." example:"sbx_01k7"`
	RunOptions
}

// oneOf returns the types of both variants of the request. In the OpenAPI document, a
// request must match one of them.
func (ZKExecuteRequest) oneOf() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[ZKPasswordExecuteRequest](), reflect.TypeFor[ZKSealedExecuteRequest]()}
}

// ZKSandbox describes a reservation. A reservation is a sandbox that waits for an
// encrypted password.
type ZKSandbox struct {
	_ struct{} `doc:"A sandbox that is reserved for one run with an encrypted password."`

	SandboxID string    `json:"sandboxId" doc:"The ID of the sandbox." example:"sbx_01k7"`
	PublicKey string    `json:"publicKey" doc:"The public key of a key pair that the sandbox has created: 32 bytes in standard base64 with padding. Use the key with HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20Poly1305." example:"QpLxdsSVMiu50b+HQbvi1lmGHHHc/WTNnrkxVSNCOQ4="`
	ExpiresAt Timestamp `json:"expiresAt" doc:"When the reservation ends. The run must start before this time."`
}

// ZKCodeRef contains the name of an encrypted program. The type is exported, because
// huma ignores unexported types.
type ZKCodeRef struct {
	Name string `path:"name" maxLength:"128" doc:"The name of the program: 1 to 128 letters, digits, dots, underscores and hyphens. The first character is a letter or a digit." example:"report"`
}

type (
	encryptInput  struct{ jsonBody[ZKEncryptRequest] }
	payloadOutput struct{ Body ZKPayload }
	storeInput    struct {
		ZKCodeRef
		jsonBody[ZKPayload]
	}
	storeOutput struct {
		Status int
		Body   EncryptedCodeMetadata
	}
	codeByNameInput  struct{ ZKCodeRef }
	codesOutput      struct{ Body EncryptedCodeList }
	executeCodeInput struct {
		ZKCodeRef
		jsonBody[ZKExecuteRequest]
	}
	zkSandboxOutput struct{ Body ZKSandbox }
)

const (
	tagZK        = "Zero-Knowledge"
	zkPath       = "/api/v1/zk"
	zkCodePath   = zkPath + "/code"
	zkByNamePath = zkCodePath + "/{name}"
	// payloadBytes is the maximum body size of an encrypted program. The limit is enough
	// for 1 MiB of code with an authentication tag, in base64, and 64 KiB of other
	// fields.
	payloadBytes = (pyth.MaxCodeBytes+16)*4/3 + 64<<10
	// encryptBytes is the maximum body size of encryptProgram. In JSON, each byte of the
	// program may need six bytes, because it can be escaped as \u00XX.
	encryptBytes = 6*pyth.MaxCodeBytes + 64<<10
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
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "encryptProgram", Method: http.MethodPost, Path: zkPath + "/encrypt",
			Summary: "Encrypt a program for a test", Tags: []string{tagZK},
			Description: "Encrypts a program for a test. The server receives the program and the password, but does not store them. In practice, clients encrypt programs themselves; see docs/zero-knowledge.md.",
		},
		maxBytes: encryptBytes,
		example:  map[string]any{"code": "print(42)", "masterPassword": "correct horse battery"},
		answer:   payload,
	}, ifZK(h, h.encryptCode))
	register(h, operation{
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "storeEncryptedProgram", Method: http.MethodPut, Path: zkByNamePath, DefaultStatus: http.StatusOK,
			Summary: "Store an encrypted program", Tags: []string{tagZK},
			Description: "Creates or replaces the program with this name. The server checks the format of the program. The server cannot check whether a password decrypts the ciphertext.",
			Responses:   map[string]*huma.Response{"201": h.createdResponse(reflect.TypeFor[EncryptedCodeMetadata]())},
			Errors:      []int{http.StatusConflict},
		},
		maxBytes: payloadBytes,
		example:  payload, answer: metadata,
		action: pyth.ActionZKStored,
	}, ifZK(h, h.putCode))
	register(h, operation{
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "listEncryptedPrograms", Method: http.MethodGet, Path: zkCodePath,
			Summary: "List the encrypted programs", Tags: []string{tagZK},
			Description: "Lists your encrypted programs, sorted by name.",
		},
		answer: map[string]any{"code": []any{metadata}},
	}, ifZK(h, h.listCode))
	register(h, operation{
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "getEncryptedProgram", Method: http.MethodGet, Path: zkByNamePath,
			Summary: "Get an encrypted program", Tags: []string{tagZK},
			Description: "Returns the encrypted program exactly as you stored it.",
			Errors:      []int{http.StatusNotFound},
		},
		answer: payload,
	}, ifZK(h, h.getCode))
	register(h, operation{
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "deleteEncryptedProgram", Method: http.MethodDelete, Path: zkByNamePath,
			Summary: "Delete an encrypted program", Tags: []string{tagZK},
			Description: "Deletes the encrypted program.",
			Errors:      []int{http.StatusNotFound},
		},
		action: pyth.ActionZKDeleted,
	}, ifZK(h, h.deleteCode))
	register(h, operation{
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "runEncryptedProgram", Method: http.MethodPost, Path: zkPath + "/execute/{name}",
			Summary: "Run an encrypted program", Tags: []string{tagZK},
			Description: "Runs the encrypted program in the same way as runProgram. The sandbox decrypts the program during the run. If the password is wrong, the run fails: status is failed and error.name is DecryptionError.",
			Responses:   h.runForms(),
			Errors:      []int{http.StatusForbidden, http.StatusNotFound, http.StatusConflict},
		},
		maxBytes: executeBodyBytes(h.cfg.Limits),
		timeout:  h.cfg.Limits.MaxTimeout + queueAllowance,
		example:  map[string]any{"masterPassword": "correct horse battery"},
		answer:   exampleExecution(),
		action:   pyth.ActionZKExecuted,
	}, ifZK(h, h.executeCode))
	register(h, operation{
		scope: pyth.ScopeZK,
		Operation: huma.Operation{
			OperationID: "reserveSandbox", Method: http.MethodPost, Path: zkPath + "/sandboxes", DefaultStatus: http.StatusCreated,
			Summary: "Reserve a sandbox for a sealed password", Tags: []string{tagZK},
			Description: "Reserves a sandbox for one run. The sandbox generates a key pair. Encrypt the password with the public key, so that the server cannot read the password.",
			Errors:      []int{http.StatusConflict},
		},
		answer: map[string]any{
			"sandboxId": "<sandbox id>", "publicKey": "QpLxdsSVMiu50b+HQbvi1lmGHHHc/WTNnrkxVSNCOQ4=", "expiresAt": "2026-04-04T08:28:21.123Z",
		},
	}, ifZK(h, h.reserveSandbox))
}

func (h *Handler) createdResponse(body reflect.Type) *huma.Response {
	schema := h.api.OpenAPI().Components.Schemas.Schema(body, true, "")
	return &huma.Response{Description: "Created", Content: map[string]*huma.MediaType{applicationJSON: {Schema: schema}}}
}

// ifZK returns the handler if this server supports encrypted programs. Otherwise it
// returns a handler that responds with not_implemented.
func ifZK[I, O any](h *Handler, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return ifEnabled(h.cfg.ZK != nil, "encrypted programs", handle)
}

// Confidential returns the field with the password. It implements body.Confidential.
func (r *ZKEncryptRequest) Confidential() (field string, to *body.Sensitive) {
	return "masterPassword", &r.MasterPassword
}

// Confidential returns the field with the password. It implements body.Confidential.
func (r *ZKExecuteRequest) Confidential() (field string, to *body.Sensitive) {
	return "masterPassword", &r.MasterPassword
}

func (h *Handler) encryptCode(ctx context.Context, in *encryptInput) (*payloadOutput, error) {
	r := in.Value
	defer clear(r.MasterPassword)
	c, err := h.cfg.ZK.Encrypt(ctx, languageOf(r.Language), []byte(r.Code), r.MasterPassword)
	if err != nil {
		return nil, err
	}
	return &payloadOutput{Body: zkPayload(c)}, nil
}

func (h *Handler) putCode(ctx context.Context, in *storeInput) (*storeOutput, error) {
	c, err := in.Value.program()
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
	job, err := in.Value.encryptedJob()
	if err != nil {
		return nil, err
	}
	program, err := in.Value.program()
	if err != nil {
		return nil, err
	}
	if err := h.checkProgram(ctx, program); err != nil {
		return nil, err
	}
	user := caller(ctx).User.ID
	if job.Code, err = h.cfg.ZK.Code(ctx, user, in.Name); err != nil {
		h.noteDenied(ctx, err)
		return nil, err
	}
	job.Name = in.Name
	program.Language, program.Encrypted = job.Code.Language, job
	out, err := h.run(ctx, program, acceptsEvents(ctx))
	if err == nil {
		h.cfg.ZK.NoteExecuted(user, in.Name)
	}
	return out, err
}

// encryptedJob returns a job with the password or the sealed password of the request. The
// caller must add the program to the job.
func (r *ZKExecuteRequest) encryptedJob() (*pyth.EncryptedJob, error) {
	fault := func(location, message string) error { return pyth.Invalid(location, "%s", message) }
	switch {
	case r.SealedPassword == "" && r.SandboxID == "":
		if len(r.MasterPassword) == 0 {
			return nil, fault("body.masterPassword", "is required if sealedPassword and sandboxId are absent")
		}
		return &pyth.EncryptedJob{Password: r.MasterPassword}, nil
	case len(r.MasterPassword) > 0:
		return nil, fault("body.masterPassword", "must not be given together with sealedPassword and sandboxId")
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

// program converts the payload to an encrypted program. It returns an error for
// invalid base64.
func (p *ZKPayload) program() (*pyth.EncryptedProgram, error) {
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
		Language: Language(c.Language),
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
		Language:       Language(c.Language),
		SizeBytes:      c.SizeBytes,
		CreatedAt:      Timestamp(c.CreatedAt),
		UpdatedAt:      Timestamp(c.UpdatedAt),
		LastExecutedAt: Timestamp(c.LastExecutedAt),
	}
}
