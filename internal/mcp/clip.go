package mcp

import "fmt"

// clip shortens a long text for a model. It keeps the beginning and the end, because the
// end of output often contains the error. Between them, it adds a note about the omitted
// part. The parameter "most" is the maximum number of bytes that it keeps.
func clip(text string, most int, advice string) string {
	if len(text) <= most {
		return text
	}
	head := wholeRunes([]byte(text[:most/2]))
	end := tail(text, most-most/2)
	return fmt.Sprintf("%s\n[%d bytes omitted; %s]\n%s", head, len(text)-len(head)-len(end), advice, end)
}
