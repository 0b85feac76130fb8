package guest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// initCode returns the machine code of Init for x86-64. It is written by hand,
// because a program with a language runtime would cost milliseconds and megabytes
// in every run.
func initCode() []byte {
	return []byte{
		// rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8): the kernel reaps orphans.
		0x31, 0xd2, //                         xor  edx, edx
		0x52, 0x52, 0x52, //                   push rdx; push rdx; push rdx
		0x6a, 0x01, //                         push SIG_IGN
		0x48, 0x89, 0xe6, //                   mov  rsi, rsp
		0xbf, 0x11, 0x00, 0x00, 0x00, //       mov  edi, SIGCHLD
		0x41, 0xba, 0x08, 0x00, 0x00, 0x00, // mov  r10d, 8
		0xb8, 0x0d, 0x00, 0x00, 0x00, //       mov  eax, SYS_rt_sigaction
		0x0f, 0x05, //                         syscall
		// mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL).
		0x48, 0x8d, 0x3d, 0x30, 0x00, 0x00, 0x00, // lea rdi, [rip+"proc"]
		0x48, 0x8d, 0x35, 0x28, 0x00, 0x00, 0x00, // lea rsi, [rip+"/proc"]
		0x48, 0x89, 0xfa, //                   mov  rdx, rdi
		0x41, 0xba, 0x0e, 0x00, 0x00, 0x00, // mov  r10d, 2|4|8
		0x45, 0x31, 0xc0, //                   xor  r8d, r8d
		0xb8, 0xa5, 0x00, 0x00, 0x00, //       mov  eax, SYS_mount
		0x0f, 0x05, //                         syscall
		// close(1): unblocks the agent, which reads the other end of the pipe.
		0xbf, 0x01, 0x00, 0x00, 0x00, //       mov  edi, 1
		0xb8, 0x03, 0x00, 0x00, 0x00, //       mov  eax, SYS_close
		0x0f, 0x05, //                         syscall
		// for { pause() }
		0xb8, 0x22, 0x00, 0x00, 0x00, //       mov  eax, SYS_pause
		0x0f, 0x05, //                         syscall
		0xeb, 0xf7, //                         jmp  -9
		'/', 'p', 'r', 'o', 'c', 0,
	}
}

// Init returns the static executable for protocol.InitPath: the first process of
// each run's namespaces. It mounts their /proc, closes its standard output to
// signal that, and waits. Orphans of the run become its children. When it is
// killed, the kernel kills all other processes of the run.
func Init() []byte {
	// An ELF file with one segment (System V ABI, chapters 4 and 5): the ELF header,
	// a program header and the code.
	const base, headers = 0x400000, 64 + 56
	code := initCode()
	size := uint64(headers + len(code))
	var b bytes.Buffer
	for _, part := range []any{
		elf.Header64{
			Ident:     [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:      uint16(elf.ET_EXEC),
			Machine:   uint16(elf.EM_X86_64),
			Version:   uint32(elf.EV_CURRENT),
			Entry:     base + headers,
			Phoff:     64,
			Ehsize:    64,
			Phentsize: 56,
			Phnum:     1,
		},
		elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
			Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
		},
		code,
	} {
		_ = binary.Write(&b, binary.LittleEndian, part) // Writing fixed-size data to memory cannot fail.
	}
	return b.Bytes()
}
