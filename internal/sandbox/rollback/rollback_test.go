package rollback

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	syscalls "gvisor.dev/gvisor/pkg/sentry/syscalls/linux"

	"github.com/pyth-on/pyth-on/internal/sandbox/rollback/abi"
)

// reviewedVersion is the last version of gVisor that a person has reviewed. Decision 0033
// contains the steps of the review.
const reviewedVersion = "v0.0.0-20260905035102-160fafc42237"

func TestReviewedVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "gvisor.dev/gvisor "+reviewedVersion+"\n") {
		t.Errorf("go.mod has another version of gVisor than %s: follow the steps in docs/decisions/0033-rollback.md", reviewedVersion)
	}
}

// TestCallsCoverGVisor checks that each system call of gVisor is either in the list
// of allowed calls or in the list of denied calls. Calls that gVisor does not have
// must be in neither list.
func TestCallsCoverGVisor(t *testing.T) {
	allowed, denied := allowed(), denied()
	there := make(map[string]bool)
	for number, call := range syscalls.AMD64.Table {
		there[call.Name] = true
		_, may := allowed[call.Name]
		_, mayNot := denied[call.Name]
		if may == mayNot {
			t.Errorf("system call %d, %s: allowed is %v and denied is %v", number, call.Name, may, mayNot)
		}
	}
	for name := range allowed {
		if !there[name] {
			t.Errorf("gVisor has no allowed system call %s", name)
		}
	}
	for name := range denied {
		if !there[name] {
			t.Errorf("gVisor has no denied system call %s", name)
		}
	}
}

func TestCheckFields(t *testing.T) {
	if err := checkFields(); err != nil {
		t.Error(err)
	}
}

func TestReasonString(t *testing.T) {
	for r := abi.Off; r <= abi.Failed; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", r)
		}
	}
	if abi.Reason(0).String() != "" || abi.Reason(200).String() != "" {
		t.Error("a reason that does not exist has a name")
	}
}

func addresses(start, end hostarch.Addr) hostarch.AddrRange {
	return hostarch.AddrRange{Start: start, End: end}
}

const page = hostarch.PageSize

// testMemory returns a memory with two regions: writable anonymous memory and the
// code of a file. There is a gap between them.
func testMemory() *memory {
	m := &memory{states: make([]state, 2), regions: []region{
		{AddrRange: addresses(1000*page, 1010*page), perms: hostarch.ReadWrite},
		{AddrRange: addresses(1020*page, 1030*page), perms: hostarch.ReadExecute, inode: 7, name: "/usr/lib/code"},
	}}
	m.states[0].canMapAgain = true
	return m
}

func TestRulesOfMemory(t *testing.T) {
	c := &checkpoint{memory: *testMemory()}
	arg := func(values ...uint64) (args arch.SyscallArguments) {
		for i, v := range values {
			args[i].Value = uintptr(v)
		}
		return args
	}
	const anonymous, code, gap, fixed, remapFixed, dontNeed, dontFork = 1000 * page, 1020 * page, 1012 * page, 0x10, 2, 4, 10
	for _, test := range []struct {
		name string
		rule func(*kernel.Task, *checkpoint, arch.SyscallArguments) abi.Reason
		args arch.SyscallArguments
		want abi.Reason
	}{
		{"map anywhere", mmap, arg(code, page, 0, 0x22), 0},
		{"map over the gap", mmap, arg(gap, page, 0, fixed), 0},
		{"map over memory", mmap, arg(anonymous, page, 0, fixed), 0},
		{"map up to the code", mmap, arg(gap, 8*page, 0, fixed), 0},
		{"map into the code", mmap, arg(gap, 8*page+1, 0, fixed), abi.Mappings},
		{"map over gVisor's table", mmap, arg(uint64(trapRange.Start), page, 0, fixed), abi.Mappings},
		{"map a size that overflows", mmap, arg(gap, 1<<64-1, 0, fixed), abi.Mappings},
		{"map memory for code", mmap, arg(0, page, 7, 0x22), abi.Mappings},
		{"unmap memory", munmap, arg(anonymous, page), 0},
		{"unmap the code", munmap, arg(code+5*page, page), abi.Mappings},
		{"unmap everything", munmap, arg(0x1000, 1<<46), abi.Mappings},
		{"protect memory", mprotect, arg(anonymous, page, 1), 0},
		{"protect code", mprotect, arg(code, page, 1), abi.Mappings},
		{"protect the gap", mprotect, arg(gap, page, 1), 0},
		{"make code", mprotect, arg(gap, page, 5), abi.Mappings},
		{"move memory", mremap, arg(anonymous, page, 2*page, 1), 0},
		{"move the code", mremap, arg(code, page, 2*page, 1), abi.Mappings},
		{"copy the code", mremap, arg(code, 0, 2*page, 1), abi.Mappings},
		{"move to a place", mremap, arg(gap, page, page, 1|remapFixed), abi.Mappings},
		{"drop memory", madvise, arg(anonymous, page, dontNeed), 0},
		{"drop the code", madvise, arg(code, page, dontNeed), abi.Mappings},
		{"not to children", madvise, arg(anonymous, page, dontFork), abi.Mappings},
	} {
		if got := test.rule(nil, c, test.args); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestUnmappedRangesAreNoted checks that the method "unmaps" stores each part of the
// checkpoint's mappings that a program unmaps. The method "restore" must map these parts
// again, because their attributes may have changed.
func TestUnmappedRangesAreNoted(t *testing.T) {
	for _, test := range []struct {
		name  string
		start hostarch.Addr
		size  uint64
		want  []hostarch.AddrRange
	}{
		{"gap", 1012 * page, page, nil},
		{"one page", 1005 * page, 1, []hostarch.AddrRange{addresses(1005*page, 1006*page)}},
		{"first byte", 999 * page, page + 1, []hostarch.AddrRange{addresses(1000*page, 1001*page)}},
		{"everything", 990 * page, 25 * page, []hostarch.AddrRange{addresses(1000*page, 1010*page)}},
		{"page before", 999 * page, page, nil},
	} {
		m := testMemory()
		if !m.unmaps(test.start, test.size) {
			t.Errorf("%s: it cannot be mapped again", test.name)
		}
		if diff := cmp.Diff(test.want, m.unmapped); diff != "" {
			t.Errorf("%s: the unmapped ranges differ (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestUnmappedRangesAreLimited(t *testing.T) {
	m := testMemory()
	for i := range maxUnmapped {
		if !m.unmaps(1000*page, page) {
			t.Fatalf("range %d: the program may not unmap it", i)
		}
	}
	if m.unmaps(1000*page, page) {
		t.Errorf("the program may unmap %d ranges", maxUnmapped+1)
	}
}

func TestSubtract(t *testing.T) {
	of := func(ranges ...hostarch.AddrRange) (all []region) {
		for _, r := range ranges {
			all = append(all, region{AddrRange: r})
		}
		return all
	}
	for _, test := range []struct {
		name       string
		a, b, want []region
	}{
		{"nothing from nothing", nil, nil, nil},
		{"equal", of(addresses(1, 5)), of(addresses(1, 5)), nil},
		{"both ends", of(addresses(1, 9)), of(addresses(3, 5)), of(addresses(1, 3), addresses(5, 9))},
		{"two holes", of(addresses(1, 9)), of(addresses(2, 3), addresses(5, 6)), of(addresses(1, 2), addresses(3, 5), addresses(6, 9))},
		{"apart", of(addresses(1, 3), addresses(7, 9)), of(addresses(3, 7)), of(addresses(1, 3), addresses(7, 9))},
		{"merged", of(addresses(1, 9)), of(addresses(1, 4), addresses(4, 9)), nil},
	} {
		got := subtract(test.a, test.b)
		if len(got) != len(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %v, want %v", test.name, got, test.want)
			}
		}
	}
}

func TestMemoryAddSavesPagesWithContent(t *testing.T) {
	arena, err := newArena(5 * page)
	if err != nil {
		t.Fatal(err)
	}
	defer arena.free()
	m := &memory{arena: arena}
	data := make([]byte, 5*page)
	data[2*page+5] = 1
	m.add(page, data[:2*page], 0)
	m.add(3*page, data[2*page:], 0)
	want := []content{
		{at: addresses(page, 3*page), zero: true},
		{at: addresses(3*page, 4*page)},
		{at: addresses(4*page, 6*page), zero: true},
	}
	if !slices.Equal(m.content, want) || arena.used != page || arena.bytes[5] != 1 {
		t.Errorf("got %+v, want %+v", m.content, want)
	}
}

func TestArenaFree(t *testing.T) {
	arena, err := newArena(page)
	if err != nil {
		t.Fatal(err)
	}
	release := arena.hold()
	done := make(chan struct{})
	go func() { arena.free(); close(done) }()
	arena.bytes[0] = 1 // The method "free" must wait.
	release()
	<-done
	if arena.hold() != nil {
		t.Error("the arena is not free")
	}
}

// TestIsGenerator checks that isGenerator recognizes a generator of V8 that has already
// returned several values. It also checks that isGenerator refuses other data.
func TestIsGenerator(t *testing.T) {
	const seed = 0x1234567890abcdef
	state0 := mixBits(seed)
	state1 := mixBits(^state0)
	for range 250 {
		state0, state1 = nextState(state0, state1)
	}
	generator := func(words ...uint64) (data []byte) {
		for _, word := range words {
			data = binary.LittleEndian.AppendUint64(data, word)
		}
		return data
	}
	if !isGenerator(generator(seed, state0, state1)) {
		t.Error("a generator is not recognised")
	}
	for _, data := range [][]byte{
		generator(0, 0, 0), generator(seed+1, state0, state1), generator(seed, state1, state0),
		generator(0x7f0012345678, 0x7f0012345678, 0x7f0012345678),
	} {
		if isGenerator(data) {
			t.Errorf("%x is recognised as a generator", data)
		}
	}
}

// TestFindGenerators checks that a static generator is not sufficient: the generator of
// the isolate must be in a block of its size on the heap.
func TestFindGenerators(t *testing.T) {
	const seed = 0x1234567890abcdef
	state0 := mixBits(seed)
	generator := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, seed), state0), mixBits(^state0))
	for _, test := range []struct {
		name   string
		header uint64
		region string
		want   bool
	}{
		{"on the heap", chunkHeader, "[heap]", true},
		{"in a larger block", 0x101, "[heap]", false},
		{"static", chunkHeader, "/usr/bin/node", false},
	} {
		data := make([]byte, page)
		binary.LittleEndian.PutUint64(data[56:], test.header)
		copy(data[64:], generator)
		c := &checkpoint{memory: memory{
			regions: []region{{AddrRange: addresses(1000*page, 1001*page), name: test.region}}, brk: 2000 * page,
			content: []content{{at: addresses(1000*page, 1001*page)}}, arena: &arena{bytes: data},
		}}
		found, err := c.findGenerators()
		if (err == nil) != test.want || test.want && !slices.Equal(found, []hostarch.Addr{1000*page + 64}) {
			t.Errorf("%s: %v, %v", test.name, found, err)
		}
	}
}
