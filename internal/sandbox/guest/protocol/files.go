package protocol

// These kinds are requests of a stream about the files below the working directory of the
// session. The payload of each request is a FileRequest. If an operation fails, the guest
// answers with a Done that has a Failure, instead of the answers below or after some of
// them.
const (
	KindStat Kind = 'a' // the guest answers with a Node
	// The guest answers with a Node for each entry, and then Done.
	KindListDirectory Kind = 'b'
	KindMakeDirectory Kind = 'f' // Done
	KindRemovePath    Kind = 'g' // Done
	KindMove          Kind = 'h' // Done
	KindCopy          Kind = 'j' // Done
	// The guest answers with a Node. The host then sends a Range. The guest sends Data
	// frames with this part of the file, and then Done.
	KindRead Kind = 'k'
	// The host then sends Data frames, and End or Abort. The guest answers with Done. If
	// the guest cannot write, it answers before the host has sent End.
	KindWrite Kind = 'm'
	// The guest answers with Data frames, and then Done.
	KindPack Kind = 'n'
	// The host then sends Data frames, and End or Abort. The guest answers with Unpacked.
	KindUnpack Kind = 'p'
)

// More kinds of frames in operations on files.
const (
	KindNode     Kind = 'u'
	KindRange    Kind = 'v'
	KindUnpacked Kind = 'O'
)

// Formats of archives.
const (
	FormatTarGzip = "tar.gz"
	FormatZip     = "zip"
)

// FileRequest describes an operation on files. Each operation uses only some fields.
type FileRequest struct {
	// Path is relative to the working directory. It is "" for the working directory
	// itself. Move and Copy read from Path and write to To.
	Path, To string
	// Overwrite lets Move and Copy replace what exists at To.
	Overwrite bool
	// Recursive lets RemovePath remove a directory that is not empty.
	Recursive bool
	// Depth is the number of levels of directories that ListDirectory descends. The value
	// 1 lists one directory only.
	Depth int
	// Format is the format of an archive.
	Format string
}

func (m *FileRequest) visit(f *fields) {
	f.text(&m.Path)
	f.text(&m.To)
	f.bool(&m.Overwrite)
	f.bool(&m.Recursive)
	number(f, &m.Depth)
	f.text(&m.Format)
}

// Types of nodes.
const (
	NodeFile      = "file"
	NodeDirectory = "directory"
	NodeLink      = "link"
	NodeOther     = "other"
)

// Node describes one file, directory, symbolic link or special file.
type Node struct {
	Path string
	// Type is one of the types of nodes above.
	Type       string
	SizeBytes  int64
	ModifiedMs int64
	// Mode contains the permission bits.
	Mode int
	// Target is the target of a symbolic link.
	Target string
}

func (m *Node) visit(f *fields) {
	f.text(&m.Path)
	f.text(&m.Type)
	number(f, &m.SizeBytes)
	number(f, &m.ModifiedMs)
	number(f, &m.Mode)
	f.text(&m.Target)
}

// Range selects a part of a file, in bytes.
type Range struct{ Offset, Length int64 }

func (m *Range) visit(f *fields) {
	number(f, &m.Offset)
	number(f, &m.Length)
}

// Unpacked reports the result of Unpack.
type Unpacked struct {
	// Entries is the number of files and directories in the archive.
	Entries int
	// Failure is the name of an error as in errno(3), or "" on success. If it is EBADMSG,
	// the archive is refused. Entry is then the name of the refused entry, or "", and
	// Reason says why.
	Failure, Entry, Reason string
}

func (m *Unpacked) visit(f *fields) {
	number(f, &m.Entries)
	f.text(&m.Failure)
	f.text(&m.Entry)
	f.text(&m.Reason)
}

// KindWatch is the request of a stream that reports changes of files. The payload is a
// FileRequest. Path is the directory to watch. If Recursive is true, the guest also
// watches the directories below it. If the guest cannot watch, it answers with a Done
// that has a Failure. Otherwise it answers with Done when it has begun to watch, and then
// sends Event frames. If the directory is removed, the guest sends a last Done.
const KindWatch Kind = 't'

// KindEvent carries an Event.
const KindEvent Kind = 'M'

// Types of events.
const (
	EventCreate = "create"
	EventWrite  = "write"
	EventRemove = "remove"
	EventRename = "rename"
	// EventOverflow means that events before it are missing.
	EventOverflow = "overflow"
)

// Event is a change of a file or a directory.
type Event struct {
	// Type is one of the types of events above.
	Type string
	// Path is relative to the working directory. From is the old path of a rename.
	Path, From string
	Directory  bool
}

func (m *Event) visit(f *fields) {
	f.text(&m.Type)
	f.text(&m.Path)
	f.text(&m.From)
	f.bool(&m.Directory)
}
