package client

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
)

// list returns the items of all pages of a list. The function "items" returns the items
// of one page, and the cursor of the next page.
func list[Page, Item any](ctx context.Context, c *Client, path string, query url.Values, items func(*Page) ([]Item, string)) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		query := maps.Clone(query)
		if query == nil {
			query = url.Values{}
		}
		for {
			page := new(Page)
			if err := c.do(ctx, &call{method: http.MethodGet, path: path, query: query, repeatable: true}, page); err != nil {
				var none Item
				yield(none, err)
				return
			}
			all, next := items(page)
			for _, item := range all {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			query.Set("cursor", next)
		}
	}
}

// Collect returns all items of a list. It stops at the first error.
func Collect[Item any](all iter.Seq2[Item, error]) ([]Item, error) {
	items := []Item{}
	for item, err := range all {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}
