-- +goose Up
-- An INSERT into this view adds a record and the checkpoint that covers the record. A
-- single statement needs no statements that begin and end a transaction. This saves
-- time, because every run waits for the INSERT. Of several records, only the last one
-- has a checkpoint. The column "note" of all other records is NULL.
CREATE VIEW audit_append AS
    SELECT sequence, hashes, user_id, action, outcome, at, record, NULL AS note FROM audit;
-- +goose StatementBegin
CREATE TRIGGER append_audit INSTEAD OF INSERT ON audit_append BEGIN
    SELECT RAISE(ABORT, 'the record is not the next one')
        WHERE NEW.sequence <> (SELECT coalesce(max(sequence) + 1, 0) FROM audit);
    INSERT INTO audit (sequence, hashes, user_id, action, outcome, at, record)
        VALUES (NEW.sequence, NEW.hashes, NEW.user_id, NEW.action, NEW.outcome, NEW.at, NEW.record);
    INSERT INTO audit_checkpoint (one, note) SELECT 1, NEW.note WHERE NEW.note IS NOT NULL
        ON CONFLICT DO UPDATE SET note = excluded.note;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER append_audit;
DROP VIEW audit_append;
