// The actions of the audit log. docs/audit.md explains them.
export const actions = [
  "code.executed", "code.generated", "execution.queued", "execution.canceled", "execution.deleted", "session.created", "session.updated", "session.deleted", "process.started", "port.shared",
  "secret.created", "secret.updated", "secret.deleted", "secret.used", "packages.changed", "zk.stored", "zk.deleted", "zk.executed",
  "key.created", "key.updated", "key.revoked", "webhook.created", "webhook.deleted",
  "user.login", "user.registered", "user.password_changed", "user.password_reset", "user.email_changed", "user.confirmation_sent", "user.email_confirmed", "user.exported", "user.deleted",
  "user.totp_created", "user.totp_enabled", "user.totp_disabled", "user.recovery_codes_replaced", "user.identity_linked", "user.identity_unlinked",
  "login.revoked", "token.refreshed", "token.reuse_detected",
  "user.changed", "user.reset_created", "user.keys_revoked", "user.logins_revoked", "invite.created", "invite.deleted", "backup.made",
];
