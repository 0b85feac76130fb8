package sandbox

import (
	"regexp"
	"strings"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/results"
	"github.com/pyth-on/pyth-on/internal/sandbox/guest/protocol"
)

// Limits for the results of a run.
const (
	maxResults     = 100
	maxResultBytes = 8 << 20
	// maxForms limits the number of media types of one result.
	maxForms = 100
	// maxSkippedResults limits how many skipped media types are reported.
	maxSkippedResults = 100
)

// mediaType matches a media type without parameters (RFC 6838, section 4.2).
var mediaType = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$`)

// result validates and stores a result. The user's program wrote the result, so the
// result may contain any bytes. Invalid parts are left out.
func (r *run) result(payload []byte) {
	r.resultBytes += len(payload)
	if len(r.outcome.Results) >= maxResults || r.resultBytes > maxResultBytes {
		r.outcome.ResultsTruncated = true
		return
	}
	result := make(pyth.Result)
	forms := 0
	for media, data := range protocol.DecodeResult(payload) {
		if forms++; forms > maxForms {
			r.outcome.ResultsTruncated = true
			break
		}
		if !mediaType.MatchString(media) {
			continue
		}
		if !pyth.IsJSON(media) {
			result[media] = strings.ToValidUTF8(string(data), "\ufffd")
			continue
		}
		text, err := results.JSON(data)
		if err != nil {
			r.skipResult(media, err.Error())
			continue
		}
		result[media] = text
	}
	if len(result) == 0 {
		return
	}
	r.outcome.Results = append(r.outcome.Results, result)
	if r.events != nil {
		r.checkDelivery(r.events.Result(result))
	}
}

// skipResult reports to the user that a media type of a result was left out.
func (r *run) skipResult(media, reason string) {
	if len(r.outcome.ResultsSkipped) < maxSkippedResults {
		r.outcome.ResultsSkipped = append(r.outcome.ResultsSkipped, pyth.SkippedResult{MediaType: media, Reason: reason})
	}
}
