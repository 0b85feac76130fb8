package redact

// encoding is an encoding of secret values, such as hexadecimal.
type encoding int

// Base64 (RFC 4648) encodes groups of three bytes. base64At1 is the encoding of a value
// that begins one byte after the start of a group. A character is a symbol only if it
// does not depend on the data before and after the value. There is one exception: in
// base64At0, the last character and the padding are also symbols, because there may be no
// data after the value.
const (
	plain encoding = iota
	hexLower
	hexUpper
	base64At0
	base64At1
	base64At2
	base64URLAt0
	base64URLAt1
	base64URLAt2
	encodings // Number of encodings.
)

const (
	lowerDigits = "0123456789abcdef"
	upperDigits = "0123456789ABCDEF"
	standard    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	forURLs     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	padding     = '='
)

// The method "before" returns how many bytes of other data precede the value in its first
// base64 group.
func (e encoding) before() int { return int(e-base64At0) % 3 }

// length returns the number of symbols that encode n bytes.
func (e encoding) length(n int) int {
	switch e {
	case plain:
		return n
	case hexLower, hexUpper:
		return 2 * n
	case base64At0, base64URLAt0:
		return (n + 2) / 3 * 4
	default:
		return 8*(e.before()+n)/6 - (8*e.before()+5)/6
	}
}

// The method "ends" reports whether the encoded text of n bytes may end after k symbols.
// Base64 text may end without padding. If other data follows the value, the last
// character is not a symbol, because it also depends on the other data.
func (e encoding) ends(n, k int) bool {
	switch e {
	case base64At0, base64URLAt0:
		return k == 8*n/6 || k == (8*n+5)/6 || k == e.length(n)
	default:
		return k == e.length(n)
	}
}

// symbol returns the symbol at index k of the encoded value. The index k must be less
// than the number of symbols.
func (e encoding) symbol(value []byte, k int) byte {
	switch e {
	case plain:
		return value[k]
	case hexLower:
		return lowerDigits[nibble(value, k)]
	case hexUpper:
		return upperDigits[nibble(value, k)]
	case base64At0, base64At1, base64At2:
		if n := e.sextet(value, k); n >= 0 {
			return standard[n]
		}
	default:
		if n := e.sextet(value, k); n >= 0 {
			return forURLs[n]
		}
	}
	return padding
}

func nibble(value []byte, k int) int { return int(value[k/2]>>(4*(1-k%2))) & 15 }

// sextet returns the 6-bit number of the base64 symbol at index k, or -1 for
// padding.
func (e encoding) sextet(value []byte, k int) int {
	before := e.before()
	bit := 6*((8*before+5)/6+k) - 8*before
	i := bit / 8
	if i >= len(value) {
		return -1
	}
	pair := int(value[i]) << 8
	if i+1 < len(value) {
		pair |= int(value[i+1])
	}
	return pair >> (10 - bit%8) & 63
}

// rank returns a number for the symbol at index k, or -1 after the last symbol. Two
// characters for the same digit have the same rank. Examples are the two cases of a
// hexadecimal digit, and the characters of the two base64 alphabets. Suppose that values
// are sorted and their symbols before k are equal. Then their ranks at k are also sorted.
func (e encoding) rank(value []byte, k int) int {
	switch {
	case k >= e.length(len(value)):
		return -1
	case e == plain:
		return int(value[k])
	case e == hexLower, e == hexUpper:
		return nibble(value, k)
	default:
		return e.sextet(value, k) + 1
	}
}

// rankOf returns the rank of a character in the output. It returns -2 if the character is
// not a symbol of this encoding.
func (e encoding) rankOf(c byte) int {
	switch e {
	case plain:
		return int(c)
	case hexLower, hexUpper:
		return hexDigit(c)
	default:
		if c == padding {
			return 0
		}
		n := base64Digit(c)
		if n < 0 {
			return -2
		}
		return n + 1
	}
}

// hexDigit returns the number for a hexadecimal digit. It returns -2 for other
// characters.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	default:
		return -2
	}
}

// base64Digit returns the number for a digit of the standard or the URL alphabet of
// base64. It returns -2 for other characters.
func base64Digit(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+', c == '-':
		return 62
	case c == '/', c == '_':
		return 63
	default:
		return -2
	}
}

// startOf returns the start of an encoded value. The start is the number that the first
// MinBytes symbols of the encoded value encode. The result "ok" is false if the value has
// fewer than MinBytes symbols, or if another encoding has the same start.
func startOf(e encoding, value []byte) (begin uint64, ok bool) {
	if e.length(len(value)) < MinBytes {
		return 0, false
	}
	other := e
	switch e {
	case hexUpper:
		other = hexLower
	case base64URLAt0, base64URLAt1, base64URLAt2:
		other = e - base64URLAt0 + base64At0
	}
	differs := other == e
	for k := range MinBytes {
		c := e.symbol(value, k)
		differs = differs || c != other.symbol(value, k)
		begin = begin<<8 | uint64(c)
	}
	return begin, differs
}
