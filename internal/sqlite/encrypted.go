package sqlite

import (
	"context"
	"database/sql"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/column"
)

const storedColumns = "name, language, length(ciphertext), created_at, updated_at, executed_at"

func storedFields(c *pyth.StoredProgram) []any {
	return []any{&c.Name, &c.Language, &c.SizeBytes, column.Time(&c.CreatedAt), column.Time(&c.UpdatedAt), column.Time(&c.LastExecutedAt)}
}

const upsertCode = `INSERT INTO encrypted_code
	(user_id, name, language, bound_name, salt, time, memory_kib, parallelism, nonce, ciphertext, created_at, updated_at)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (user_id, name) DO UPDATE SET
	language = excluded.language, bound_name = excluded.bound_name, salt = excluded.salt, time = excluded.time,
	memory_kib = excluded.memory_kib, parallelism = excluded.parallelism, nonce = excluded.nonce,
	ciphertext = excluded.ciphertext, updated_at = excluded.updated_at`

// StoreCode creates or replaces an encrypted program. The parameter "limit" is the
// maximum number of programs of a user. StoreCode returns CodeConflict if a new program
// would exceed this number.
func (s *Store) StoreCode(ctx context.Context, user pyth.UserID, name string, c *pyth.EncryptedProgram, at time.Time, limit int) (stored *pyth.StoredProgram, created bool, err error) {
	stored = new(pyth.StoredProgram)
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		var have, others int
		err := tx.QueryRowContext(ctx, "SELECT COALESCE(SUM(name = ?), 0), COALESCE(SUM(name <> ?), 0) FROM encrypted_code WHERE user_id = ?", name, name, user).
			Scan(&have, &others)
		if err != nil {
			return err
		}
		if created = have == 0; created && others >= limit {
			return pyth.Errorf(pyth.CodeConflict, "You have reached the maximum of %d encrypted programs. Delete a program first.", others)
		}
		if _, err := tx.ExecContext(ctx, upsertCode, user, name, c.Language, c.Name, c.KDF.Salt, c.KDF.Time, c.KDF.MemoryKiB,
			c.KDF.Parallelism, c.Nonce, c.Ciphertext, column.TimeValue(at), column.TimeValue(at)); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT "+storedColumns+" FROM encrypted_code WHERE user_id = ? AND name = ?", user, name).
			Scan(storedFields(stored)...)
	})
	if err != nil {
		return nil, false, err
	}
	return stored, created, nil
}

// DeleteCode deletes an encrypted program. It returns CodeNotFound if the user has
// no such program.
func (s *Store) DeleteCode(ctx context.Context, user pyth.UserID, name string) error {
	deleted, err := s.write(ctx, "DELETE FROM encrypted_code WHERE user_id = ? AND name = ?", user, name)
	if err == nil && !deleted {
		err = asNotFound(sql.ErrNoRows, encryptedProgram)
	}
	return err
}

// encryptedProgram is the name of the object in error messages.
const encryptedProgram = "encrypted program"

// Codes returns the user's encrypted programs without their ciphertexts, sorted by
// name.
func (s *Store) Codes(ctx context.Context, user pyth.UserID) (all []*pyth.StoredProgram, err error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+storedColumns+" FROM encrypted_code WHERE user_id = ? ORDER BY name", user)
	if err != nil {
		return nil, failure(err)
	}
	defer rows.Close()
	for rows.Next() {
		c := new(pyth.StoredProgram)
		if err := rows.Scan(storedFields(c)...); err != nil {
			return nil, failure(err)
		}
		all = append(all, c)
	}
	return all, failure(rows.Err())
}

// Code returns an encrypted program with its ciphertext.
func (s *Store) Code(ctx context.Context, user pyth.UserID, name string) (*pyth.EncryptedProgram, error) {
	c := new(pyth.EncryptedProgram)
	err := s.reader.QueryRowContext(ctx, "SELECT language, bound_name, salt, time, memory_kib, parallelism, nonce, ciphertext FROM encrypted_code WHERE user_id = ? AND name = ?", user, name).
		Scan(&c.Language, &c.Name, &c.KDF.Salt, &c.KDF.Time, &c.KDF.MemoryKiB, &c.KDF.Parallelism, &c.Nonce, &c.Ciphertext)
	if err != nil {
		return nil, asNotFound(err, encryptedProgram)
	}
	return c, nil
}

// NoteExecuted sets the time of the last execution of an encrypted program.
func (s *Store) NoteExecuted(ctx context.Context, user pyth.UserID, name string, at time.Time) error {
	_, err := s.write(ctx, "UPDATE encrypted_code SET executed_at = ? WHERE user_id = ? AND name = ?", column.TimeValue(at), user, name)
	return err
}
