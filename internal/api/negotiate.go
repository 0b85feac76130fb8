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

// acceptsEvents reports whether the response is a stream of events instead of JSON. It
// compares the quality values of both media types in Accept (RFC 9110, section 12.5.1).
// If the values are equal, the response is a stream only if the header contains
// text/event-stream itself. If the caller accepts neither media type, the response is
// JSON, which is more useful than status 406.
func acceptsEvents(ctx context.Context) bool {
	accept := requestOf(ctx).r.Header.Values("Accept")
	if len(accept) == 0 {
		return false
	}
	events, named := quality(accept, eventStream)
	plain, _ := quality(accept, applicationJSON)
	return events > plain || events > 0 && events == plain && named
}

// quality returns the quality value of a media type, from 0 to 1. If several media ranges
// in the Accept headers match the type, it uses the most specific range. The result
// "named" is true if this range is the media type itself and not a wildcard. The function
// ignores invalid ranges.
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
