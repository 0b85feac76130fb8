package sandbox

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

func TestSecretsAreSentLastAndOnlyAfterTheirUseIsRecorded(t *testing.T) {
	for name, failure := range map[string]error{"recorded": nil, "not recorded": errors.New("full")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var wire bytes.Buffer
				s := scripted(encode(protocol.KindExit, protocol.Exit{}), &wire)
				s.granted.pids = hostPids // The limits of the job are already set.
				recorded := make(chan struct{})
				job := &pyth.Job{Code: []byte("the code"), Timeout: time.Minute, Secrets: pyth.SecretGrant{
					Values:   []pyth.SecretValue{{Name: "TOKEN", Value: []byte("canary")}},
					Recorded: func() error { <-recorded; return failure },
				}}
				var o *pyth.Outcome
				var err error
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					o, err = s.Run(t.Context(), job, nil)
				}()
				synctest.Wait()
				if sent := wire.String(); !strings.Contains(sent, "the code") || strings.Contains(sent, "TOKEN") {
					t.Errorf("before the use is recorded the guest got %q", sent)
				}
				close(recorded)
				<-ended
				sent := wire.String()
				if failure != nil {
					if !errors.Is(err, failure) || o != nil || s.broken == nil || strings.Contains(sent, "TOKEN") {
						t.Errorf("%+v, %v; broken: %v; the guest got %q", o, err, s.broken, sent)
					}
					return
				}
				if err != nil || o.Status != pyth.StatusSucceeded || !strings.Contains(sent, "TOKEN=canary") {
					t.Errorf("%+v, %v; the guest got %q", o, err, sent)
				}
			})
		})
	}
}
