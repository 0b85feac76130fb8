// The first process of each run, in machine code. A language with a runtime would
// cost milliseconds and megabytes in every run. The code uses only registers and
// its stack, so it runs at any address.

#include "textflag.h"

// Numbers of Linux system calls on x86-64. AX holds the number. The arguments are
// in DI, SI, DX, R10 and R8.
#define SYS_close 3
#define SYS_rt_sigaction 13
#define SYS_pause 34
#define SYS_mount 165

#define SIGCHLD 17
#define SIG_IGN 1
#define MS_NOSUID 2
#define MS_NODEV 4
#define MS_NOEXEC 8

TEXT ·code(SB), NOSPLIT|NOFRAME, $0-0
	// Ignore SIGCHLD, so that the kernel reaps orphans of the run:
	// rt_sigaction(SIGCHLD, {handler: SIG_IGN}, NULL, 8). The structure is built on
	// the stack, last field first: mask, restorer, flags, handler.
	XORL DX, DX
	PUSHQ DX
	PUSHQ DX
	PUSHQ DX
	PUSHQ $SIG_IGN
	MOVL $SIGCHLD, DI
	MOVQ SP, SI
	MOVL $8, R10
	MOVL $SYS_rt_sigaction, AX
	SYSCALL

	// Mount /proc for the processes of these namespaces:
	// mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL).
	// The stack holds "/proc" as a number whose low byte comes first. The number's
	// high bytes are zero and end the string. "proc" begins one byte after "/proc".
	// The agent checks that /proc is mounted.
	MOVQ $0x636f72702f, AX
	PUSHQ AX
	LEAQ 1(SP), DI
	MOVQ SP, SI
	MOVQ DI, DX
	MOVL $(MS_NOSUID|MS_NODEV|MS_NOEXEC), R10
	XORL R8, R8
	MOVL $SYS_mount, AX
	SYSCALL

	// Close standard output, the pipe to the agent. The agent's read from the
	// pipe returns now.
	MOVL $1, DI
	MOVL $SYS_close, AX
	SYSCALL

	// Wait until the agent kills this process. The kernel then kills all other
	// processes of the namespaces.
wait:
	MOVL $SYS_pause, AX
	SYSCALL
	JMP wait

// end marks the end of code.
TEXT ·end(SB), NOSPLIT|NOFRAME, $0-0
	UNDEF

// func bounds() (start unsafe.Pointer, size uintptr)
TEXT ·bounds(SB), NOSPLIT, $0-16
	LEAQ ·code(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ ·end(SB), CX
	SUBQ AX, CX
	MOVQ CX, size+8(FP)
	RET
