package openapitest

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/pb33f/libopenapi"
)

// mediaTypes contains the documented media types of responses. The keys are the path,
// the method in lower case, and the status.
type mediaTypes map[string]map[string]map[string][]string

func newMediaTypes(doc libopenapi.Document) (mediaTypes, error) {
	model, err := doc.BuildV3Model()
	if err != nil {
		return nil, err
	}
	all := mediaTypes{}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		all[path] = map[string]map[string][]string{}
		for method, op := range item.GetOperations().FromOldest() {
			statuses := map[string][]string{}
			for status, r := range op.Responses.Codes.FromOldest() {
				statuses[status] = []string{}
				for mediaType := range r.Content.KeysFromOldest() {
					statuses[status] = append(statuses[status], mediaType)
				}
			}
			all[path][method] = statuses
		}
	}
	return all, nil
}

// check returns an error if the media type of the response is not documented. It ignores
// operations and statuses that are not documented.
func (m mediaTypes) check(req *http.Request, res *http.Response) error {
	method := strings.ToLower(req.Method)
	if method == "head" {
		method = "get"
	}
	given := res.Header.Get("Content-Type")
	for path, item := range m {
		documented, known := item[method][strconv.Itoa(res.StatusCode)]
		if !known || !matches(path, req.URL.EscapedPath()) {
			continue
		}
		if given == "" && len(documented) == 0 {
			return nil
		}
		sent, _, err := mime.ParseMediaType(given)
		if err != nil {
			return fmt.Errorf("openapitest: %s %s: %d has the media type %q: %w", req.Method, path, res.StatusCode, given, err)
		}
		for _, mediaType := range documented {
			if mediaType == sent || mediaType == "*/*" {
				return nil
			}
		}
		return fmt.Errorf("openapitest: %s %s: %d has the media type %q, documented are %q", req.Method, path, res.StatusCode, given, documented)
	}
	return nil
}

// The function "matches" reports whether the path matches the template. Usually a
// parameter contains no slash. The parameters {path} and {package} may contain slashes at
// the end of the template.
func matches(template, path string) bool {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	for i, segment := range want {
		last := i == len(want)-1
		switch {
		case i >= len(have):
			return false
		case strings.HasPrefix(segment, "{"):
			if last {
				return len(have) == len(want) || segment == "{path}" || segment == "{package}"
			}
		case segment != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
