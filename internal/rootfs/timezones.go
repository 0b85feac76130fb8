package rootfs

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"io"
	"strings"
)

// timeZones is Go's compiled time zone database. This program embeds the database,
// because some machines have no time zone database.
//
//go:embed zoneinfo/zoneinfo.zip
var timeZones []byte

func zoneinfo(p plan) error {
	archive, err := zip.NewReader(bytes.NewReader(timeZones), int64(len(timeZones)))
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		p.file("usr/share/zoneinfo/"+f.Name, 0o644, data)
	}
	return nil
}
