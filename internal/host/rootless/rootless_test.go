package rootless

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestEffectiveCapabilitiesMatchKernel(t *testing.T) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	want := uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
	if got, err := effectiveCapabilities(); err != nil || got != want {
		t.Errorf("got %x, %v, want %x", got, err, want)
	}
}
