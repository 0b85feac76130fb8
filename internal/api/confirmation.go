package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	pyth "github.com/pyth-on/pyth-on"
)

// ConfirmationRequest is the body of createEmailConfirmation.
type ConfirmationRequest struct {
	_ struct{} `doc:"An account whose e-mail address is not confirmed."`

	Email string `json:"email" minLength:"1" maxLength:"320" doc:"The e-mail address of the account." example:"ada@example.org"`
}

// ConfirmRequest is the body of verifyEmail.
type ConfirmRequest struct {
	_ struct{} `doc:"A token that confirms an e-mail address."`

	Token string `json:"token" minLength:"1" maxLength:"256" doc:"The token from the link in the mail." example:"pyconfirm_7Q2M"`
}

// IDs of operations that have special rate limits.
const (
	opResendConfirmation = "createEmailConfirmation"
	opConfirmEmail       = "verifyEmail"
)

type (
	confirmationInput struct{ jsonBody[ConfirmationRequest] }
	confirmInput      struct{ jsonBody[ConfirmRequest] }
)

// registerConfirmations registers the operations that confirm e-mail addresses.
func (h *Handler) registerConfirmations(has bool, feature string) {
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opResendConfirmation, Method: http.MethodPost, Path: "/api/email/resend", DefaultStatus: http.StatusAccepted,
			Summary: "Request a new mail that confirms the e-mail address", Tags: []string{tagAuth},
			Description: "Sends a link to the e-mail address of the account. The new link replaces earlier links. The response does not say whether the account exists, or whether its address is confirmed.",
			Errors:      []int{http.StatusTooManyRequests},
		},
		public: true, example: map[string]any{"email": "ada@example.org"},
	}, h.resendConfirmation)
	register(h, operation{
		Operation: huma.Operation{
			OperationID: opConfirmEmail, Method: http.MethodPost, Path: "/api/email/confirm", DefaultStatus: http.StatusNoContent,
			Summary: "Confirm an e-mail address", Tags: []string{tagAuth},
			Description: "Confirms the e-mail address to which the server sent the token. A token is valid once, for 72 hours.",
			Errors:      []int{http.StatusUnauthorized, http.StatusTooManyRequests},
		},
		public: true, example: map[string]any{"token": "<confirmation token>"}, action: pyth.ActionEmailConfirmed,
	}, ifEnabled(has, feature, h.confirmEmail))
}

// resendConfirmation passes the address to the mailer. The mailer looks for the account
// after the response, so the time of the response does not show whether the account
// exists.
func (h *Handler) resendConfirmation(ctx context.Context, in *confirmationInput) (*noOutput, error) {
	allowed, err := h.allowMail(ctx, h.live.Load().limits.confirmAccount, policyConfirmAccount, in.Value.Email)
	if err != nil {
		return nil, err
	}
	if allowed && h.cfg.SendConfirmation != nil {
		h.cfg.SendConfirmation(in.Value.Email)
	}
	return nil, nil
}

func (h *Handler) confirmEmail(ctx context.Context, in *confirmInput) (*noOutput, error) {
	_, err := h.cfg.Profiles.ConfirmEmail(ctx, in.Value.Token)
	return nil, err
}

// sendConfirmation sends a link to a new address, if the server asks for confirmations.
// It sends no mail if the server has sent too many mails to the address. Otherwise
// somebody could fill the mailbox of another person with many registrations or changes of
// addresses. The request succeeds even without a mail, because other clients can use up
// the limit of the address.
func (h *Handler) sendConfirmation(ctx context.Context, u *pyth.User) {
	if h.cfg.SendConfirmation == nil || u.EmailUnconfirmedAt.IsZero() {
		return
	}
	limits, account := h.live.Load().limits, accountKey(u.Email)
	if h.take(ctx, limits.confirmAccount, account+ipKey(requestOf(ctx).ip)) && h.take(ctx, limits.mailAddress, policyConfirmAccount+account) {
		h.cfg.SendConfirmation(u.Email)
	}
}

// requireConfirmed returns an error if the caller must confirm the e-mail address first.
// Callers with an unconfirmed address may manage the account, so that they can correct a
// mistake in the address or delete the account.
func (h *Handler) requireConfirmed(ctx context.Context, scope pyth.Scope) error {
	if !caller(ctx).Unconfirmed || scope == pyth.ScopeAccount {
		return nil
	}
	err := pyth.UnconfirmedEmailError()
	h.noteDenied(ctx, err)
	return err
}
