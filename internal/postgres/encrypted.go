package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const storedColumns = "name, language, length(ciphertext)::bigint, created_at, updated_at, executed_at"

func storedFields(c *pyth.StoredProgram) []any {
	return []any{&c.Name, &c.Language, &c.SizeBytes, column.Time(&c.CreatedAt), column.Time(&c.UpdatedAt), column.Time(&c.LastExecutedAt)}
}

const upsertCode = `INSERT INTO encrypted_code
	(user_id, name, language, bound_name, salt, time, memory_kib, parallelism, nonce, ciphertext, created_at, updated_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
	ON CONFLICT (user_id, name) DO UPDATE SET
	language = excluded.language, bound_name = excluded.bound_name, salt = excluded.salt, time = excluded.time,
	memory_kib = excluded.memory_kib, parallelism = excluded.parallelism, nonce = excluded.nonce,
	ciphertext = excluded.ciphertext, updated_at = excluded.updated_at
	RETURNING ` + storedColumns

// encryptedProgram is the name of the object in error messages.
const encryptedProgram = "encrypted program"

// StoreCode creates or replaces an encrypted program. The parameter "limit" is the
// maximum number of programs of a user. StoreCode returns CodeConflict if a new program
// would exceed this number.
func (s *Store) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram, at time.Time, limit int) (stored *pyth.StoredProgram, created bool, err error) {
	stored = new(pyth.StoredProgram)
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// Lock the user. Otherwise several concurrent calls together could exceed the
		// limit.
		if err := lockUser(ctx, tx, user); err != nil {
			return err
		}
		var have, others int
		err := tx.QueryRow(ctx, "SELECT count(*) FILTER (WHERE name = $2), count(*) FILTER (WHERE name <> $2) FROM encrypted_code WHERE user_id = $1", user, name).
			Scan(&have, &others)
		if err != nil {
			return err
		}
		if created = have == 0; created && others >= limit {
			return pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d encrypted programs. Delete a program first.", others)
		}
		return tx.QueryRow(ctx, upsertCode, user, name, c.Language, c.Name, c.KDF.Salt, c.KDF.Time, c.KDF.MemoryKiB,
			c.KDF.Parallelism, c.Nonce, c.Ciphertext, column.TimeValue(at)).Scan(storedFields(stored)...)
	})
	if err != nil {
		return nil, false, err
	}
	return stored, created, nil
}

// DeleteCode deletes an encrypted program. It returns CodeNotFound if the user has no
// such program.
func (s *Store) DeleteCode(ctx context.Context, user pyth.UserID, name string) error {
	return s.deleteOne(ctx, encryptedProgram, "DELETE FROM encrypted_code WHERE user_id = $1 AND name = $2", user, name)
}

// Codes returns the user's encrypted programs without their ciphertexts, sorted by
// name.
func (s *Store) Codes(ctx context.Context, user pyth.UserID) ([]*pyth.StoredProgram, error) {
	scan := func(row pgx.CollectableRow) (*pyth.StoredProgram, error) {
		c := new(pyth.StoredProgram)
		return c, row.Scan(storedFields(c)...)
	}
	return collect(ctx, s, scan, "SELECT "+storedColumns+" FROM encrypted_code WHERE user_id = $1 ORDER BY name", user)
}

// Code returns an encrypted program with its ciphertext.
func (s *Store) Code(ctx context.Context, user pyth.UserID, name string) (*pyth.EncryptedProgram, error) {
	c := new(pyth.EncryptedProgram)
	err := s.row(ctx, "SELECT language, bound_name, salt, time, memory_kib, parallelism, nonce, ciphertext FROM encrypted_code WHERE user_id = $1 AND name = $2",
		[]any{user, name}, &c.Language, &c.Name, &c.KDF.Salt, &c.KDF.Time, &c.KDF.MemoryKiB, &c.KDF.Parallelism, &c.Nonce, &c.Ciphertext)
	if err != nil {
		return nil, asNotFound(err, encryptedProgram)
	}
	return c, nil
}

// NoteExecuted sets the time of the last execution of an encrypted program.
func (s *Store) NoteExecuted(ctx context.Context, user pyth.UserID, name string, at time.Time) error {
	_, err := s.write(ctx, "UPDATE encrypted_code SET executed_at = $1 WHERE user_id = $2 AND name = $3", column.TimeValue(at), user, name)
	return ignoreNoRows(asNoRows(err))
}
