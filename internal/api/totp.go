package api

import (
	"context"
	"net"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// TOTPState describes the second factor of an account.
type TOTPState struct {
	_ struct{} `doc:"The second factor of the account."`

	Enabled           bool      `json:"enabled" doc:"Whether a login needs a code of the second factor." example:"true"`
	EnabledAt         Timestamp `json:"enabledAt,omitzero" doc:"When the second factor was enabled. Absent if it is not enabled."`
	RecoveryCodesLeft int       `json:"recoveryCodesLeft" doc:"The number of unused recovery codes." example:"10"`
}

// TOTPRequest is the body of createTotp.
type TOTPRequest struct {
	_ struct{} `doc:"The password that confirms a new second factor."`

	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The current password." example:"correct horse battery"`
}

// TOTPSecret is the response to createTotp.
type TOTPSecret struct {
	_ struct{} `doc:"The secret of a second factor. No other response contains it."`

	Secret string `json:"secret" doc:"The secret in base32. Type it into the authenticator app if the app cannot scan the QR code." example:"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"`
	URI    string `json:"uri" doc:"The secret as an otpauth URI for authenticator apps. The codes have six digits, use SHA-1 and change every 30 seconds." example:"otpauth://totp/Pyth-On:ada@example.org?secret=JBSWY3DPEHPK3PXP&issuer=Pyth-On"`
	QRCode []byte `json:"qrCode" doc:"The URI as a QR code: a PNG image in base64." example:"iVBORw0KGgo="`
}

// TOTPCode is the body of verifyTotp.
type TOTPCode struct {
	_ struct{} `doc:"A code from the authenticator app."`

	Code string `json:"code" minLength:"1" maxLength:"64" doc:"The current code from the authenticator app: six digits." example:"123456"`
}

// TOTPProof is the body of replaceRecoveryCodes and deleteTotp.
type TOTPProof struct {
	_ struct{} `doc:"The password and a code of the second factor."`

	CurrentPassword string `json:"currentPassword" minLength:"1" maxLength:"1024" format:"password" doc:"The current password." example:"correct horse battery"`
	Code            string `json:"code" minLength:"1" maxLength:"64" doc:"The current code from the authenticator app, or a recovery code." example:"123456"`
}

// RecoveryCodes is the response to verifyTotp and replaceRecoveryCodes.
type RecoveryCodes struct {
	_ struct{} `doc:"New recovery codes. No other response contains them."`

	RecoveryCodes []string `json:"recoveryCodes" doc:"The recovery codes. Each recovery code works once, instead of a code from the authenticator app." example:"[\"abcd-efgh-ijkl-mnop\"]"`
}

type (
	totpOutput          struct{ Body TOTPState }
	totpInput           struct{ jsonBody[TOTPRequest] }
	totpSecretOutput    struct{ Body TOTPSecret }
	totpCodeInput       struct{ jsonBody[TOTPCode] }
	totpProofInput      struct{ jsonBody[TOTPProof] }
	recoveryCodesOutput struct{ Body RecoveryCodes }
)

const totpPath = profilePath + "/totp"

func (h *Handler) registerTOTP() {
	has := h.cfg.SecondFactors != nil
	const feature = "second factors"
	proof := map[string]any{"currentPassword": "correct horse battery", "code": "123456"}
	codes := map[string]any{"recoveryCodes": []any{"abcd-efgh-ijkl-mnop", "qrst-uvwx-yz23-4567"}}
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "getTotp", Method: http.MethodGet, Path: totpPath,
			Summary: "Get the second factor", Tags: []string{tagAuth},
			Description: "Returns whether the account has a second factor, and the number of unused recovery codes.",
		},
		answer: map[string]any{"enabled": true, "enabledAt": "2026-04-04T08:23:21.123Z", "recoveryCodesLeft": 10},
	}, ifEnabled(has, feature, h.getTOTP))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "createTotp", Method: http.MethodPost, Path: totpPath, DefaultStatus: http.StatusCreated,
			Summary: "Create a second factor", Tags: []string{tagAuth},
			Description: "Creates a secret for an authenticator app (TOTP, RFC 6238). Until verifyTotp enables the second factor, logins need no code. A new secret replaces an earlier secret that is not enabled.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"currentPassword": "correct horse battery"},
		answer: map[string]any{
			"secret": "<secret>", "uri": "otpauth://totp/Pyth-On:ada@example.org?secret=<secret>&issuer=Pyth-On", "qrCode": "<image>",
		},
		action: pyth.ActionTOTPCreated,
	}, ifEnabled(has, feature, h.createTOTP))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "verifyTotp", Method: http.MethodPost, Path: totpPath + "/verify",
			Summary: "Enable the second factor", Tags: []string{tagAuth},
			Description: "Enables the second factor if the code is correct, and returns recovery codes. Revokes all refresh tokens of other logins. API keys stay valid.",
			Errors:      []int{http.StatusConflict},
		},
		example: map[string]any{"code": "123456"}, answer: codes, action: pyth.ActionTOTPEnabled,
	}, ifEnabled(has, feature, h.verifyTOTP))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "replaceRecoveryCodes", Method: http.MethodPost, Path: totpPath + "/recovery-codes",
			Summary: "Replace the recovery codes", Tags: []string{tagAuth},
			Description: "Returns new recovery codes. The earlier codes become invalid.",
			Errors:      []int{http.StatusNotFound},
		},
		example: proof, answer: codes, action: pyth.ActionRecoveryCodes,
	}, ifEnabled(has, feature, h.replaceRecoveryCodes))
	register(h, operation{
		scope: pyth.ScopeAccount,
		Operation: huma.Operation{
			OperationID: "deleteTotp", Method: http.MethodDelete, Path: totpPath,
			Summary: "Remove the second factor", Tags: []string{tagAuth},
			Description: "Removes the second factor and its recovery codes.",
			Errors:      []int{http.StatusNotFound},
		},
		example: proof, action: pyth.ActionTOTPDisabled,
	}, ifEnabled(has, feature, h.deleteTOTP))
}

func (h *Handler) getTOTP(ctx context.Context, _ *noInput) (*totpOutput, error) {
	p := caller(ctx)
	if p.User.SecondFactorAt.IsZero() {
		return new(totpOutput), nil
	}
	f, err := h.cfg.SecondFactors.SecondFactor(ctx, p)
	if err != nil {
		return nil, err
	}
	return &totpOutput{Body: TOTPState{Enabled: true, EnabledAt: Timestamp(p.User.SecondFactorAt), RecoveryCodesLeft: f.RecoveryCodes}}, nil
}

func (h *Handler) createTOTP(ctx context.Context, in *totpInput) (*totpSecretOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	e, err := h.cfg.SecondFactors.Enroll(ctx, p, in.Value.CurrentPassword, h.issuer(ctx))
	if err != nil {
		return nil, err
	}
	return &totpSecretOutput{Body: TOTPSecret{Secret: e.Secret, URI: e.URI, QRCode: e.QRCode}}, nil
}

// issuer returns the name that authenticator apps show for this server. The name contains
// the host. So users can distinguish accounts on several servers.
func (h *Handler) issuer(ctx context.Context) string {
	host := requestOf(ctx).r.Host
	if u, err := url.Parse(h.cfg.PublicURL); err == nil && u.Host != "" {
		host = u.Host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := url.Parse("http://" + host); err != nil || host == "" || net.ParseIP(host) != nil {
		return "Pyth-On"
	}
	return "Pyth-On " + host
}

func (h *Handler) verifyTOTP(ctx context.Context, in *totpCodeInput) (*recoveryCodesOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	codes, err := h.cfg.SecondFactors.Confirm(ctx, p, in.Value.Code)
	return &recoveryCodesOutput{Body: RecoveryCodes{RecoveryCodes: codes}}, err
}

func (h *Handler) replaceRecoveryCodes(ctx context.Context, in *totpProofInput) (*recoveryCodesOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	codes, err := h.cfg.SecondFactors.ReplaceRecoveryCodes(ctx, p, in.Value.CurrentPassword, in.Value.Code)
	return &recoveryCodesOutput{Body: RecoveryCodes{RecoveryCodes: codes}}, err
}

func (h *Handler) deleteTOTP(ctx context.Context, in *totpProofInput) (*noOutput, error) {
	p := caller(ctx)
	if err := h.limitGuesses(ctx, p.User.Email); err != nil {
		return nil, err
	}
	return nil, h.cfg.SecondFactors.Remove(ctx, p, in.Value.CurrentPassword, in.Value.Code)
}
