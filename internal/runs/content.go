package runs

import (
	"context"
	"encoding/json"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

// content is the encrypted part of a record.
type content struct {
	Code    string        `json:"code"`
	Outcome *pyth.Outcome `json:"outcome"`
	// Events is the order of the events. It is set if the run had a receiver of events.
	Events []event `json:"events,omitempty"`
}

func label(id pyth.ExecutionID) vault.Label {
	return vault.Label{Kind: "execution", Name: string(id), Version: 1}
}

// The method "open" decrypts the content (code and output) of a record. It returns nil
// if the record has no content.
func (s *Service) open(ctx context.Context, r *pyth.SealedExecution) (*content, error) {
	if r.Sealed == nil {
		return nil, nil
	}
	b, err := s.config.Vault.Open(ctx, r.User, label(r.ID), r.Sealed)
	if err != nil {
		return nil, err
	}
	c := new(content)
	return c, json.Unmarshal(b, c)
}

// seal returns the record of a run with its encrypted content. If the encryption of the
// content fails, the returned record has no content.
func (s *Service) seal(r *run, keys map[pyth.UserID]*vault.Sealer) (*pyth.SealedExecution, error) {
	r.mu.Lock()
	out := &pyth.SealedExecution{ExecutionRecord: r.record}
	r.mu.Unlock()
	if out.State != pyth.StateEnded || r.outcome == nil {
		return out, nil
	}
	key := keys[out.User]
	b, err := json.Marshal(content{r.code, r.outcome, r.events})
	if err == nil && key != nil {
		out.Sealed = key.Seal(label(out.ID), b)
	} else {
		out.Content = pyth.ContentOmitted
	}
	return out, err
}

// sealers returns a Sealer for each user who has a run with content. A user without a
// data key gets no Sealer. Such a user was deleted.
func (s *Service) sealers(ctx context.Context, runs []*run) (map[pyth.UserID]*vault.Sealer, error) {
	keys := map[pyth.UserID]*vault.Sealer{}
	for _, r := range runs {
		user := r.record.User
		if _, have := keys[user]; have || r.outcome == nil {
			continue
		}
		key, err := s.config.Vault.Sealer(ctx, user)
		if err != nil && pyth.ErrorCode(err) != pyth.CodeNotFound {
			return nil, err
		}
		keys[user] = key
	}
	return keys, nil
}

// store stores the records of runs in one transaction.
func (s *Service) store(ctx context.Context, runs []*run) error {
	keys, err := s.sealers(ctx, runs)
	if err != nil {
		return err
	}
	records := make([]*pyth.SealedExecution, len(runs))
	for i, r := range runs {
		if records[i], err = s.seal(r, keys); err != nil {
			s.config.Logger.ErrorContext(ctx, "could not store the output of a run", "execution_id", records[i].ID, "error", err)
		}
	}
	if err := s.config.Store.PutExecutions(ctx, records); err != nil {
		return err
	}
	ended := make([]*pyth.ExecutionRecord, len(records))
	for i, r := range records {
		ended[i] = &r.ExecutionRecord
	}
	s.config.Quotas.Stored(ended)
	if s.config.Stored != nil {
		s.config.Stored()
	}
	return nil
}
