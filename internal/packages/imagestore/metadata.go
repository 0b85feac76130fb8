package imagestore

import (
	"errors"
	"os"
)

// metadataPath returns the path for the metadata of an archive. The parameter "hash" is
// the hash of the archive.
func (s *Store) metadataPath(hash string) string { return s.downloadPath(hash) + ".metadata" }

// HasMetadata reports whether the store has the metadata of the archive.
func (s *Store) HasMetadata(hash string) bool { return exists(s.metadataPath(hash)) }

// Metadata returns the metadata of the archive, or nil if the store does not have
// it.
func (s *Store) Metadata(hash string) []byte {
	b, err := os.ReadFile(s.metadataPath(hash))
	if err != nil {
		return nil
	}
	touch(s.metadataPath(hash))
	return b
}

// PutMetadata stores the metadata of the archive with the hash.
func (s *Store) PutMetadata(hash string, metadata []byte) error {
	f, err := s.TempFile()
	if err != nil {
		return err
	}
	if _, err := f.Write(metadata); err != nil {
		return discard(f, err)
	}
	if err := f.Close(); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), s.metadataPath(hash))
}
