package proto

// appendEscaped writes a key with every byte but letters, digits and - . _ ~ as % and two hexadecimal digits.
func appendEscaped(b, key []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range key {
		if isUnreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// isUnreserved says that a byte stands for itself in a URI (RFC 3986, 2.3).
func isUnreserved(c byte) bool {
	return c|0x20-'a' < 26 || c-'0' < 10 || c == '-' || c == '.' || c == '_' || c == '~'
}
