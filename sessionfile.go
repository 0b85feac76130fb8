package pyth

import (
	"context"
	"io"
	"time"
)

// FileType is the type of an entry of a directory in a session.
type FileType string

// Values of FileType. FileOther is a FIFO, a socket or another special file.
const (
	FileRegular   FileType = "file"
	FileDirectory FileType = "directory"
	FileLink      FileType = "link"
	FileOther     FileType = "other"
)

// FileTypes returns all values of FileType.
func FileTypes() []FileType {
	return []FileType{FileRegular, FileDirectory, FileLink, FileOther}
}

// FileEntry describes a file, a directory or another entry of a directory in a session.
// A program of the session may have chosen all values.
type FileEntry struct {
	// Path is relative to the initial working directory of the session. It is "" for this
	// directory itself.
	Path       string
	Type       FileType
	SizeBytes  int64 // 0, unless Type is FileRegular
	ModifiedAt time.Time
	// Mode contains the permission bits, for example 0o644.
	Mode int
	// Target is the target of a symbolic link.
	Target string
}

// ArchiveFormat is the format of an archive.
type ArchiveFormat string

// Values of ArchiveFormat.
const (
	ArchiveTarGzip ArchiveFormat = "tar.gz"
	ArchiveZip     ArchiveFormat = "zip"
)

// ArchiveFormats returns all values of ArchiveFormat.
func ArchiveFormats() []ArchiveFormat { return []ArchiveFormat{ArchiveTarGzip, ArchiveZip} }

// FileEventType is the type of a change of a file.
type FileEventType string

// Values of FileEventType. FilesOverflow means that events before it are missing, because
// the receiver was slower than the changes.
const (
	FileCreated   FileEventType = "create"
	FileWritten   FileEventType = "write"
	FileRemoved   FileEventType = "remove"
	FileRenamed   FileEventType = "rename"
	FilesOverflow FileEventType = "overflow"
)

// FileEventTypes returns all values of FileEventType.
func FileEventTypes() []FileEventType {
	return []FileEventType{FileCreated, FileWritten, FileRemoved, FileRenamed, FilesOverflow}
}

// FileEvent is a change of a file or a directory in a session.
type FileEvent struct {
	Type FileEventType
	// Path is relative to the initial working directory of the session. It is "" for
	// FilesOverflow. From is the old path of FileRenamed.
	Path, From string
	// Directory is true if the path is a directory.
	Directory bool
}

// OpenFile is an open file of a session. It is not safe for concurrent use.
type OpenFile interface {
	// Entry describes the file.
	Entry() FileEntry
	// Section returns a reader of a part of the file. A caller may call Section once. The
	// part must be within the file. Read fails with CodeConflict if a program makes the
	// file shorter.
	Section(offset, length int64) (io.Reader, error)
	Close() error
}

// FileService works with the files of sessions below their initial working directories.
// It does not wait for runs, so it works while programs run. It never follows a symbolic
// link: a path through a link fails with CodeConflict. Only paths that workpath.Fault
// accepts are valid; all other paths fail with CodeInvalid. Some methods also accept the
// path "", which means the working directory.
//
// All methods are safe for concurrent use. They fail with CodeNotFound if the session or
// the path does not exist. They fail with CodeTooLarge if the disk of the session is
// full. They fail with CodeTooManyExecutions if the session has too many operations at
// the same time.
type FileService interface {
	// StatFile describes an entry. It does not follow links. The path may be "".
	StatFile(ctx context.Context, user UserID, session SessionID, path string) (*FileEntry, error)
	// ListDirectory returns the entries below a directory, at most 10,000. Their paths
	// are relative to the working directory of the session. The entries of a directory
	// are sorted by name. Each directory is followed by the entries below it. The depth
	// is the number of levels, 1 to 64. The path may be "".
	ListDirectory(ctx context.Context, user UserID, session SessionID, path string, depth int) ([]FileEntry, error)
	// MakeDirectory creates a directory and the missing directories above it. It reports
	// whether the directory is new. It fails with CodeConflict if the path exists but is
	// not a directory.
	MakeDirectory(ctx context.Context, user UserID, session SessionID, path string) (created bool, err error)
	// RemovePath removes a file or a directory. If recursive is false, a directory must
	// be empty; otherwise RemovePath fails with CodeConflict.
	RemovePath(ctx context.Context, user UserID, session SessionID, path string, recursive bool) error
	// MovePath renames a file or a directory, and creates missing directories above the
	// new path. If overwrite is false and the new path exists, MovePath fails with
	// CodeConflict. If overwrite is true, MovePath replaces the existing file, or the
	// existing directory with its content.
	MovePath(ctx context.Context, user UserID, session SessionID, from, to string, overwrite bool) error
	// CopyPath copies a file or a directory. The rules for the new path are the same as
	// in MovePath. The copy appears at the new path in one step, when it is complete.
	CopyPath(ctx context.Context, user UserID, session SessionID, from, to string, overwrite bool) error
	// OpenFile opens a regular file for reading. The caller must close it. It fails with
	// CodeConflict if the path is not a regular file.
	OpenFile(ctx context.Context, user UserID, session SessionID, path string) (OpenFile, error)
	// CreateFile creates or replaces a file atomically, and creates missing directories.
	// It reports whether the file is new. If the content cannot be read to its end,
	// nothing changes.
	CreateFile(ctx context.Context, user UserID, session SessionID, path string, content io.Reader) (created bool, err error)
	// PackFiles writes an archive of a directory or of a file to w. The archive contains
	// regular files and directories only. PackFiles calls "begin" before the first write.
	// The path may be "".
	PackFiles(ctx context.Context, user UserID, session SessionID, path string, format ArchiveFormat, begin func(), w io.Writer) error
	// UnpackFiles unpacks an archive into a directory. It creates the directory if the
	// directory is missing. It replaces existing files, and returns the number of
	// entries. UnpackFiles fails with CodeInvalid if the archive contains an invalid
	// path, the same path twice, or an entry that is neither a file nor a directory. If
	// UnpackFiles fails, it has changed nothing. The path may be "".
	UnpackFiles(ctx context.Context, user UserID, session SessionID, path string, format ArchiveFormat, content io.Reader) (entries int, err error)
	// WatchFiles calls the function "to" for each change in a directory. If "recursive"
	// is true, it also watches the directories below this directory. When the context
	// ends, WatchFiles returns the cause of the context. When the directory is removed,
	// WatchFiles returns nil. It calls "begin" when the watch has begun, before it
	// reports the first change. If a file replaces another file, WatchFiles reports the
	// file as created. If a file moves from an unwatched directory, WatchFiles reports it
	// as created. If a file moves to an unwatched directory, WatchFiles reports it as
	// removed. The path may be "". A session can have 8 watches at the same time.
	WatchFiles(ctx context.Context, user UserID, session SessionID, path string, recursive bool, begin func() error, to func(*FileEvent) error) error
}
