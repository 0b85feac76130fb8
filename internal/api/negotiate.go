package api

import (
	"context"
	"mime"
	"strconv"
	"strings"
)

// eventStream is the media type of server-sent events (WHATWG HTML, section
// 9.2).
const eventStream = "text/event-stream"

const applicationJSON = "application/json"

// acceptsEvents reports whether to respond with a stream, according to the quality
// values of Accept (RFC 9110, section 12.5.1). If both have the same quality, the
// response is a stream only if the header names text/event-stream. If the caller
// accepts neither, the response is JSON, which is more useful than status 406.
func acceptsEvents(ctx context.Context) bool {
	accept := requestOf(ctx).r.Header.Values("Accept")
	if len(accept) == 0 {
		return false
	}
	events, named := quality(accept, eventStream)
	plain, _ := quality(accept, applicationJSON)
	return events > plain || events > 0 && events == plain && named
}

// quality returns the weight, from 0 to 1, of the most specific matching range in an
// Accept header. named reports that this range is the media type itself and no
// wildcard. It ignores invalid ranges.
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
