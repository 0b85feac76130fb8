package firstprocess

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"unsafe"
)

// The function "bounds" returns the address and the size in bytes of the code in
// code_amd64.s. The code ends where the next symbol begins. This is reliable, because the
// linker keeps the order of the symbols in a file.
func bounds() (start unsafe.Pointer, size uintptr)

// maxCode limits the size of the code in bytes. If the measured size is larger, the
// linker has moved the next symbol, and the measured size is wrong.
const maxCode = 256

// Executable returns a static ELF file with the code of the first process.
func Executable() ([]byte, error) {
	start, size := bounds()
	if size > maxCode {
		return nil, errors.New("firstprocess: the linker has moved the end of the code")
	}
	return wrap(unsafe.Slice((*byte)(start), size)), nil
}

// wrap returns an ELF file that contains the code. Its only segment consists of
// the ELF header, a program header and the code (System V ABI, chapters 4 and 5).
func wrap(code []byte) []byte {
	const base, fileHeader, programHeader = 0x400000, 64, 56
	const headers = fileHeader + programHeader
	size := uint64(headers + len(code))
	var b bytes.Buffer
	for _, part := range []any{
		elf.Header64{
			Ident:     [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:      uint16(elf.ET_EXEC),
			Machine:   uint16(elf.EM_X86_64),
			Version:   uint32(elf.EV_CURRENT),
			Entry:     base + headers,
			Phoff:     fileHeader,
			Ehsize:    fileHeader,
			Phentsize: programHeader,
			Phnum:     1,
		},
		elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
			Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
		},
		code,
	} {
		_ = binary.Write(&b, binary.LittleEndian, part) // Writing fixed-size data to a buffer cannot fail.
	}
	return b.Bytes()
}
