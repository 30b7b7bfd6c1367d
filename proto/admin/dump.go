package admin

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"ringcached/store"
)

// replyEndMeta ends a list of meta commands.
const replyEndMeta = "EN\r\n"

// dump is a long reply that shows each item of some classes in a line, and end behind the last.
func dump(classes store.ClassSet, line func(w *Worker, b []byte, it store.Item) []byte, end string) *longReply {
	return &longReply{
		cursor: store.Walk{Classes: classes},
		see:    func(w *Worker, _ *longReply, it store.Item) { w.lines = line(w, w.lines, it) },
		end: func(w *Worker) bool {
			w.lines = append(w.lines, end...)
			return true
		},
	}
}

// appendMetadump shows an item as `lru_crawler metadump` does: with Unix times, the key escaped, and a space before the end of
// the line.
func appendMetadump(w *Worker, b []byte, it store.Item) []byte {
	b = appendEscaped(append(b, "key="...), it.Key())
	b = append(b, " exp="...)
	if it.Exptime() == 0 {
		b = append(b, "-1"...)
	} else {
		b = w.appendUnix(b, it.Exptime())
	}
	b = w.appendUnix(append(b, " la="...), it.LastAccess())
	b = strconv.AppendUint(append(b, " cas="...), it.CAS()&w.casMask, 10)
	b = append(append(b, " fetch="...), yes(it.Fetched())...)
	b = strconv.AppendInt(append(b, " cls="...), int64(it.Class()), 10)
	b = strconv.AppendInt(append(b, " size="...), int64(w.st.SizeOf(it)), 10)
	b = strconv.AppendUint(append(b, " flags="...), uint64(it.Flags()), 10)
	return append(b, " \n"...)
}

// appendUnix writes a second of the store as a Unix time.
func (w *Worker) appendUnix(b []byte, second uint32) []byte {
	return strconv.AppendInt(b, w.srv.config.Epoch+int64(second), 10)
}

// appendMetaGet shows an item as the `mg` command that fetches it. It encodes a key that could not stand in a line; one with control characters
// can, as text clients send it.
func appendMetaGet(_ *Worker, b []byte, it store.Item) []byte {
	b = append(b, "mg "...)
	if KeyEncoded(it.Marks()) || bytes.ContainsAny(it.Key(), " \n") {
		b = append(base64.StdEncoding.AppendEncode(b, it.Key()), " b"...)
	} else {
		b = append(b, it.Key()...)
	}
	return append(b, "\r\n"...)
}

// KeyEncoded says that a client gave the key of an item with these marks encoded.
func KeyEncoded(m store.Marks) bool { return m&store.MarkBinary != 0 }

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

// EscapeKey is a key as dumps and statistics show it, which may have any bytes: see appendEscaped.
func EscapeKey(key []byte) string { return string(appendEscaped(nil, key)) }

// isUnreserved says that a byte stands for itself in a URI (RFC 3986, 2.3).
func isUnreserved(c byte) bool {
	return c|0x20-'a' < 26 || c-'0' < 10 || c == '-' || c == '.' || c == '_' || c == '~'
}
