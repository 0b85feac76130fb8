package rollback

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/memmap"
	"gvisor.dev/gvisor/pkg/sentry/mm"
	"gvisor.dev/gvisor/pkg/usermem"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

const (
	// maxContent is the maximum size in bytes of the memory that a checkpoint saves.
	maxContent = 64 << 20
	// emptySize is a size in bytes. If a memory range of at least this size contains only
	// zeros, its memory is returned to the host. Programs often use shorter ranges. For
	// shorter ranges, a page fault costs more time than writing the zeros again.
	emptySize = 512 << 10
	// copySize is the number of bytes of memory that are copied in one step.
	copySize = 256 << 10
	// maxRegions is the maximum number of memory mappings of a process that is restored.
	// If a process has more mappings, the removal of these mappings takes longer than the
	// start of a new interpreter.
	maxRegions = 4096
	// maxUnmapped limits the number of ranges that the program may unmap from the
	// mappings of the checkpoint.
	maxUnmapped = 1024
)

// These constants are distances below the stack pointer in bytes. The first bytes below
// the stack pointer are the red zone, which may hold data of the current function. At the
// checkpoint, the stack below the red zone is unused.
const (
	redZone = 128
	// stackWindow is the size of the unused part of the stack that is saved as zeros.
	// Most programs do not use more stack. The memory below this part is returned to
	// the host.
	stackWindow = 128 << 10
)

// trapRange is the address range of gVisor's table of patched system calls. gVisor maps
// the table when it patches the first system call of a process. This can happen after
// the checkpoint.
var trapRange = hostarch.AddrRange{Start: 0x60000, End: 0x70000}

// region is a mapping as /proc/self/maps describes it.
type region struct {
	hostarch.AddrRange
	perms        hostarch.AccessType
	shared       bool
	offset       uint64
	major, minor uint32
	inode        uint64
	name         string
	attributes   mappingAttributes
}

// mappingAttributes are attributes of a mapping that /proc/self/maps does not show.
type mappingAttributes struct {
	// dontFork is the effect of MADV_DONTFORK, and isStack is the effect of MAP_STACK.
	dontFork, isStack bool
}

// isAnonymous reports whether the region is private memory that has neither a file nor
// a name.
func (r *region) isAnonymous() bool { return !r.shared && r.inode == 0 && r.name == "" }

// isTrapTable reports whether gVisor made the mapping for itself.
func (r *region) isTrapTable() bool {
	return r.name == "[usertrap]" && r.inode == 0 && !r.perms.Write && trapRange.IsSupersetOf(r.AddrRange)
}

// regions returns the mappings of a process. It leaves out the mappings that gVisor
// makes in every process.
func regions(t *kernel.Task) []region {
	var all []region
	attributes := attributesOfMappings(t.MemoryManager())
	t.MemoryManager().ReadMapsDataInto(t, func(start, end hostarch.Addr, perms hostarch.AccessType, private string, offset uint64, major, minor uint32, inode uint64, path string) {
		r := region{hostarch.AddrRange{Start: start, End: end}, perms, private != "p", offset, major, minor, inode, path, attributes[start]}
		if !r.isTrapTable() && path != "[vsyscall]" {
			all = append(all, r)
		}
	})
	return all
}

// memory is the saved memory of a process.
type memory struct {
	regions []region
	// states has one element for each element of regions.
	states []state
	// The field "unmapped" contains the parts of the regions that the program has
	// unmapped. The program may have mapped these parts again, with attributes that a
	// region does not record. So the method restore maps these parts again. The mutex mu
	// protects the field unmapped.
	mu       sync.Mutex
	unmapped []hostarch.AddrRange
	brk      hostarch.Addr
	content  []content
	arena    *arena
	// The field "empty" contains the ranges of writable regions that hold no data. The
	// memory of these ranges is returned to the host.
	empty []hostarch.AddrRange
}

// state describes a region in two ways. It says whether the program may map the region
// again, and which changes the program has made to the region.
type state struct {
	// canMapAgain is true if the region is anonymous and its content is saved. Such a
	// region can be mapped again.
	canMapAgain bool
	// isChanged is true if the program has changed an attribute of a part of the
	// region: the permissions, or the behaviour in a fork.
	isChanged atomic.Bool
}

// content is the content of a range: zeros, or bytes in the arena.
type content struct {
	at     hostarch.AddrRange
	zero   bool
	offset int
}

// canMapAgain reports whether a range can be mapped again when the process is restored.
// It returns false if the range overlaps a mapping of the checkpoint that cannot be
// mapped again.
func (m *memory) canMapAgain(start hostarch.Addr, size uint64) bool {
	return !m.touches(start, size, func(i int) bool { return !m.states[i].canMapAgain })
}

// The method "changes" marks the mappings in a range whose attributes the program
// changes. It returns false if the range overlaps a mapping of the checkpoint that
// cannot be mapped again.
func (m *memory) changes(start hostarch.Addr, size uint64) bool {
	return !m.touches(start, size, func(i int) bool {
		m.states[i].isChanged.Store(true)
		return !m.states[i].canMapAgain
	})
}

// The method "unmaps" stores a range that the program unmaps. It returns false in two
// cases: the range overlaps a mapping of the checkpoint that cannot be mapped again, or
// the program has unmapped too many ranges.
func (m *memory) unmaps(start hostarch.Addr, size uint64) bool {
	if !m.canMapAgain(start, size) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.touches(start, size, func(i int) bool {
		m.unmapped = append(m.unmapped, m.regions[i].Intersect(pages(start, size)))
		return false
	})
	return len(m.unmapped) <= maxUnmapped
}

// The method "touches" calls the function "matches" with the index of each mapping that
// the range overlaps. As soon as the function "matches" returns true, the method returns
// true. The method also returns true if the range is invalid, or if it overlaps gVisor's
// table of patched system calls.
func (m *memory) touches(start hostarch.Addr, size uint64, matches func(int) bool) bool {
	wanted := pages(start, size)
	if wanted.Length() == 0 && size > 0 || wanted.Overlaps(trapRange) {
		return true
	}
	for i := range m.regions {
		if m.regions[i].Overlaps(wanted) && matches(i) {
			return true
		}
	}
	return false
}

// pages returns the pages of a range. It returns an empty range if the range is
// invalid.
func pages(start hostarch.Addr, size uint64) hostarch.AddrRange {
	r, ok := hostarch.UntaggedUserAddr(start).ToRange(size)
	if !ok {
		return hostarch.AddrRange{}
	}
	if r.End, ok = r.End.RoundUp(); !ok {
		return hostarch.AddrRange{}
	}
	r.Start = r.Start.RoundDown()
	return r
}

// save saves all mappings of the process, and the content of the writable mappings.
func (m *memory) save(t *kernel.Task) error {
	mm := t.MemoryManager()
	var err error
	if m.brk, err = mm.Brk(t, 0); err != nil && m.brk == 0 {
		return fmt.Errorf("read break: %w", err)
	}
	m.regions = regions(t)
	m.states = make([]state, len(m.regions))
	window, err := clearStack(t, m.regions)
	if err != nil {
		return err
	}
	resident, err := residentRanges(mm)
	if err != nil {
		return err
	}
	size := 0
	saved := make([][]hostarch.AddrRange, len(m.regions))
	for i, r := range m.regions {
		switch {
		case !r.perms.Write:
			// A region without access rights has no content. For example, V8 reserves
			// such memory.
			m.states[i].canMapAgain = r.isAnonymous() && !r.perms.Any() && len(overlap(resident, r.AddrRange)) == 0
			makeResident(t, &r)
			continue
		case r.shared:
			return errors.New("the process has a shared mapping")
		case r.inode != 0:
			saved[i] = []hostarch.AddrRange{r.AddrRange}
		default:
			saved[i] = overlap(resident, r.AddrRange)
			m.states[i].canMapAgain = r.isAnonymous()
		}
		for _, at := range saved[i] {
			size += int(at.Length())
		}
	}
	if m.arena, err = newArena(size); err != nil {
		return fmt.Errorf("allocate memory for the checkpoint: %w", err)
	}
	buffer := make([]byte, copySize)
	for i := range m.regions {
		first := len(m.content)
		for _, at := range saved[i] {
			for at.Length() > 0 {
				data := buffer[:min(uint64(len(buffer)), uint64(at.Length()))]
				if _, err := mm.CopyIn(t, at.Start, data, usermem.IOOpts{}); err != nil {
					return fmt.Errorf("save %v: %w", at, err)
				}
				if m.add(at.Start, data, first); m.arena.used > maxContent {
					return errors.New("the process has too much memory")
				}
				at.Start += hostarch.Addr(len(data))
			}
		}
	}
	return m.release(mm, window)
}

// release finds long ranges that contain only zeros, and frees their memory on the host.
// It stores these ranges in m.empty. It does not free the memory of the range in the
// parameter "window".
func (m *memory) release(mm *mm.MemoryManager, window hostarch.AddrRange) error {
	m.content = slices.DeleteFunc(m.content, func(c content) bool {
		return c.zero && c.at.Length() >= emptySize && !c.at.Overlaps(window)
	})
	rest := m.content
	for _, r := range m.regions {
		if !r.perms.Write {
			continue
		}
		gap := hostarch.AddrRange{Start: r.Start, End: r.Start}
		for len(rest) > 0 && rest[0].at.Start < r.End {
			if gap.End = rest[0].at.Start; gap.Length() > 0 {
				m.empty = append(m.empty, gap)
			}
			gap.Start, rest = rest[0].at.End, rest[1:]
		}
		if gap.End = r.End; gap.Length() > 0 {
			m.empty = append(m.empty, gap)
		}
	}
	for _, at := range m.empty {
		if err := mm.Decommit(at.Start, uint64(at.Length())); err != nil {
			return fmt.Errorf("release %v: %w", at, err)
		}
	}
	return nil
}

// makeResident makes gVisor count a mapping of a file as resident. Without this step,
// gVisor would count the mapping from the first access on. A program could then see
// from its resident size which mappings earlier programs have used.
func makeResident(t *kernel.Task, r *region) {
	if r.perms.Read {
		// CopyIn fails if the file is shorter than the mapping. Ignore this error.
		_, _ = t.MemoryManager().CopyIn(t, r.Start, make([]byte, 1), usermem.IOOpts{})
	}
}

// clearStack clears the part of the stack that is not in use. It returns the range
// that the stack of most programs will use.
func clearStack(t *kernel.Task, all []region) (window hostarch.AddrRange, err error) {
	mm, sp := t.MemoryManager(), hostarch.Addr(t.Arch().Stack())
	for _, r := range all {
		if !r.Contains(sp) || !r.perms.Write {
			continue
		}
		end := (sp - redZone).RoundDown()
		window = hostarch.AddrRange{Start: max(end-stackWindow, r.Start), End: end}
		if unused := uint64(window.Start - r.Start); unused > 0 {
			if err := mm.Decommit(r.Start, unused); err != nil {
				return window, fmt.Errorf("release unused stack: %w", err)
			}
		}
		if _, err := mm.ZeroOut(t, window.Start, int64(window.Length()), usermem.IOOpts{}); err != nil {
			return window, fmt.Errorf("clear unused stack: %w", err)
		}
		return window, nil
	}
	return window, errors.New("the process has no stack")
}

// residentRanges returns the address ranges for which gVisor has allocated memory. gVisor
// shows these ranges only in its debugging output. residentRanges parses this output.
func residentRanges(mm *mm.MemoryManager) ([]hostarch.AddrRange, error) {
	_, list, found := strings.Cut(mm.String(), "\nPMAs:\n")
	if !found {
		return nil, errors.New("gVisor does not list the memory of the process")
	}
	var all []hostarch.AddrRange
	for line := range strings.Lines(list) {
		var at hostarch.AddrRange
		if _, err := fmt.Sscanf(line, "%x-%x ", &at.Start, &at.End); err != nil || !at.WellFormed() {
			return nil, fmt.Errorf("parse %q: %w", line, err)
		}
		all = append(all, at)
	}
	return all, nil
}

// overlap returns the parts of the sorted ranges "all" that are inside the range "in".
func overlap(all []hostarch.AddrRange, in hostarch.AddrRange) []hostarch.AddrRange {
	var parts []hostarch.AddrRange
	for _, at := range all {
		if part := at.Intersect(in); part.Length() > 0 {
			parts = append(parts, part)
		}
	}
	return parts
}

// The method "add" divides data into ranges of pages. A range consists either only of
// pages that are zero, or only of pages that are not zero. The method saves the content
// of the ranges that are not zero. The parameter "first" is the index of the first range
// of the region.
func (m *memory) add(start hostarch.Addr, data []byte, first int) {
	var zero [hostarch.PageSize]byte
	for at := 0; at < len(data); at += hostarch.PageSize {
		page := data[at : at+hostarch.PageSize]
		c := content{at: hostarch.AddrRange{Start: start + hostarch.Addr(at), End: start + hostarch.Addr(at+hostarch.PageSize)}}
		if c.zero = bytes.Equal(page, zero[:]); !c.zero {
			c.offset = m.arena.add(page)
		}
		if last := len(m.content) - 1; last >= first && m.content[last].zero == c.zero && m.content[last].at.End == c.at.Start {
			m.content[last].at.End = c.at.End
		} else {
			m.content = append(m.content, c)
		}
	}
}

// restore restores mappings and content. It returns a reason if a mapping is not
// the same as at the checkpoint.
func (m *memory) restore(t *kernel.Task) abi.Reason {
	mm := t.MemoryManager()
	if brk, err := mm.Brk(t, m.brk); err != nil || brk != m.brk {
		return abi.Mappings
	}
	for _, r := range m.unmapped {
		if mm.MUnmap(t, r.Start, uint64(r.Length())) != nil {
			return abi.Failed
		}
	}
	m.unmapped = m.unmapped[:0]
	now := regions(t)
	if len(now) > maxRegions {
		return abi.Mappings
	}
	for _, extra := range subtract(now, m.regions) {
		if mm.MUnmap(t, extra.Start, uint64(extra.Length())) != nil {
			return abi.Failed
		}
	}
	for _, missing := range subtract(m.regions, now) {
		if !m.canMapAgain(missing.Start, uint64(missing.Length())) {
			return abi.Mappings
		}
		if _, err := mm.MMap(t, memmap.MMapOpts{
			Addr: missing.Start, Length: uint64(missing.Length()), Fixed: true, Private: true,
			Perms: missing.perms, Stack: missing.attributes.isStack, MaxPerms: hostarch.AnyAccess, NameMut: memmap.NameMutAnon,
		}); err != nil {
			return abi.Failed
		}
		if missing.attributes.dontFork && mm.SetDontFork(missing.Start, uint64(missing.Length()), true) != nil {
			return abi.Failed
		}
	}
	var cleared []hostarch.AddrRange
	for i := range m.states {
		r := &m.regions[i]
		if !m.states[i].isChanged.Swap(false) {
			continue
		}
		if mm.MProtect(r.Start, uint64(r.Length()), r.perms, false) != nil ||
			mm.SetDontFork(r.Start, uint64(r.Length()), r.attributes.dontFork) != nil {
			return abi.Failed
		}
		if !r.perms.Write {
			cleared = append(cleared, r.AddrRange)
		}
	}
	if !slices.Equal(regions(t), m.regions) {
		return abi.Mappings
	}
	for _, at := range slices.Concat(m.empty, cleared) {
		if mm.Decommit(at.Start, uint64(at.Length())) != nil {
			return abi.Failed
		}
	}
	release := m.arena.hold()
	if release == nil {
		return abi.Off
	}
	defer release()
	for i := range m.content {
		if m.content[i].restore(t, m.arena) != nil {
			return abi.Failed
		}
	}
	return 0
}

// restore writes the saved content to the memory of the process.
func (c *content) restore(t *kernel.Task, from *arena) (err error) {
	mm, size := t.MemoryManager(), int(c.at.Length())
	if c.zero {
		// Write zeros instead of releasing the memory. After a release, the resident
		// size would show which pages the last program has used.
		_, err = mm.ZeroOut(t, c.at.Start, int64(size), usermem.IOOpts{})
	} else {
		_, err = mm.CopyOut(t, c.at.Start, from.bytes[c.offset:c.offset+size], usermem.IOOpts{})
	}
	return err
}

// settleTimeout limits how long the method settle waits. With this limit, an error in
// gVisor cannot block the agent forever.
const settleTimeout = 2 * time.Second

// settle waits until gVisor has returned all freed memory to the host. gVisor returns the
// memory in another goroutine.
func settle(t *kernel.Task) {
	file := t.Kernel().MemoryFile()
	for start := time.Now(); hasWaste(file) && time.Since(start) < settleTimeout; {
		time.Sleep(50 * time.Microsecond)
	}
}

// subtract returns the parts of the regions in a that no region in b covers. Both
// lists are sorted.
func subtract(a, b []region) []region {
	var rest []region
	for _, r := range a {
		for _, s := range b {
			if !r.Overlaps(s.AddrRange) {
				continue
			}
			if r.Start < s.Start {
				before := r
				before.End = s.Start
				rest = append(rest, before)
			}
			r.Start = min(s.End, r.End)
		}
		if r.Length() > 0 {
			rest = append(rest, r)
		}
	}
	return rest
}
