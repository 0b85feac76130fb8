package rootfs

import (
	"bytes"
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// settings adds the system configuration. The configuration is the same on all machines,
// because a copy of this machine's configuration would reveal facts about the machine. It
// also defines the account for programs.
func settings(p plan) {
	for path, text := range map[string]string{
		"etc/passwd": `root:x:0:0:root:/root:/bin/sh
sandbox:x:1000:1000:sandbox:/home/sandbox:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`,
		"etc/group": `root:x:0:
sandbox:x:1000:
nogroup:x:65534:
`,
		"etc/hosts": `127.0.0.1	localhost sandbox
::1	localhost ip6-localhost ip6-loopback
`,
		"etc/hostname": "sandbox\n",
		"etc/nsswitch.conf": `passwd: files
group: files
shadow: files
hosts: files
networks: files
protocols: files
services: files
`,
		"etc/resolv.conf": "",
		"etc/ld.so.conf":  "",
		"etc/protocols": `ip	0	IP
icmp	1	ICMP
tcp	6	TCP
udp	17	UDP
ipv6	41	IPv6
ipv6-icmp	58	IPv6-ICMP
`,
		"etc/services": `ftp	21/tcp
ssh	22/tcp
telnet	23/tcp
smtp	25/tcp	mail
domain	53/tcp
domain	53/udp
http	80/tcp	www
pop3	110/tcp
ntp	123/udp
imap2	143/tcp	imap
ldap	389/tcp
https	443/tcp
https	443/udp
ldaps	636/tcp
imaps	993/tcp
pop3s	995/tcp
mysql	3306/tcp
postgresql	5432/tcp
redis	6379/tcp
`,
		"usr/lib/os-release": `NAME="Pyth-On sandbox"
PRETTY_NAME="Pyth-On sandbox"
ID=pyth-on
`,
	} {
		p.file(path, 0o644, []byte(text))
	}
	p.link("etc/os-release", "../usr/lib/os-release")
	p.link("etc/localtime", "/usr/share/zoneinfo/UTC")
	p.link("etc/mtab", "/proc/self/mounts")
}

// certificates adds the root certificates that Mozilla trusts. The OpenSSL library of the
// embedded Python searches the paths below for certificates. Libraries of wheels also use
// these paths.
func certificates(p plan) {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		// Mozilla trusts some roots only under a constraint. The file format cannot
		// express constraints, so programs would trust these roots without constraints.
		// Omit these roots.
		if root.Constraint != nil {
			continue
		}
		_ = pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // Writing to a buffer cannot fail.
	}
	const file = "etc/ssl/certs/ca-certificates.crt"
	p.file(file, 0o644, roots.Bytes())
	p.link("etc/ssl/cert.pem", "certs/ca-certificates.crt")
	p.link("usr/lib/ssl/cert.pem", "/"+file)
	p.link("usr/lib/ssl/certs", "/etc/ssl/certs")
}
