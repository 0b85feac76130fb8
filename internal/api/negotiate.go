package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// eventStream is the media type of server-sent events (WHATWG HTML, section
// 9.2).
const eventStream = "text/event-stream"

const applicationJSON = "application/json"

// acceptsEvents reports whether an answer that has both forms is to be sent as
// a stream: by the quality values of Accept (RFC 9110, section 12.5.1). At equal
// quality the stream is chosen only if the caller names it. If neither form is
// acceptable the answer is JSON, which is more use than a 406.
func acceptsEvents(r *http.Request) bool {
	accept := r.Header.Values("Accept")
	if len(accept) == 0 {
		return false
	}
	events, named := quality(accept, eventStream)
	plain, _ := quality(accept, applicationJSON)
	return events > plain || events > 0 && events == plain && named
}

// quality returns the weight, from 0 to 1, that the most specific range of an
// Accept header gives to a media type, and whether that range names the type
// itself. A range that cannot be parsed is ignored.
func quality(accept []string, mediaType string) (weight float64, named bool) {
	kind, _, _ := strings.Cut(mediaType, "/")
	best := 0
	for _, header := range accept {
		for part := range strings.SplitSeq(header, ",") {
			ranged, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			specificity := 0
			switch ranged {
			case mediaType:
				specificity = 3
			case kind + "/*":
				specificity = 2
			case "*/*":
				specificity = 1
			}
			if specificity <= best {
				continue
			}
			q := 1.0
			if given, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(given, 64); err != nil || !(q >= 0 && q <= 1) {
					continue
				}
			}
			best, weight = specificity, q
		}
	}
	return weight, best == 3
}
