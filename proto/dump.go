package proto

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"ringcached/store"
)

// replyEndMeta ends a list of meta commands.
const replyEndMeta = "EN\r\n"

// dump is a walk that shows each item of some classes in a line, and says end behind the last.
func dump(classes store.ClassSet, line func(w *Worker, b []byte, it store.Item) []byte, end string) *walk {
	return &walk{
		place: store.Walk{Classes: classes},
		see:   func(w *Worker, _ *walk, it store.Item) { w.lines = line(w, w.lines, it) },
		end: func(w *Worker, _ *walk) bool {
			w.lines = append(w.lines, end...)
			return true
		},
	}
}

// appendMetadump shows an item as `lru_crawler metadump` does: with Unix times, and with the key so that it has no space. There is one before the
// end of the line.
func appendMetadump(w *Worker, b []byte, it store.Item) []byte {
	b = appendEscaped(append(b, "key="...), it.Key())
	b = append(b, " exp="...)
	if it.Exptime() == 0 {
		b = append(b, "-1"...)
	} else {
		b = w.appendUnix(b, it.Exptime())
	}
	b = w.appendUnix(append(b, " la="...), it.LastAccess())
	b = strconv.AppendUint(append(b, " cas="...), w.casOf(it), 10)
	b = append(append(b, " fetch="...), yes(it.Fetched())...)
	b = strconv.AppendInt(append(b, " cls="...), int64(it.Class()), 10)
	b = strconv.AppendInt(append(b, " size="...), int64(w.sizeOf(it)), 10)
	b = strconv.AppendUint(append(b, " flags="...), uint64(it.Flags()), 10)
	return append(b, " \n"...)
}

// appendUnix writes a second of the store as a Unix time.
func (w *Worker) appendUnix(b []byte, second uint32) []byte {
	return strconv.AppendInt(b, w.srv.epoch+int64(second), 10)
}

// appendMetaGet shows an item as the `mg` command that fetches it. A key that could not stand in a line is encoded; one with control characters
// can, as text clients send it.
func appendMetaGet(_ *Worker, b []byte, it store.Item) []byte {
	b = append(b, "mg "...)
	if isBinary(it) || bytes.ContainsAny(it.Key(), " \n") {
		b = append(base64.StdEncoding.AppendEncode(b, it.Key()), " b"...)
	} else {
		b = append(b, it.Key()...)
	}
	return append(b, "\r\n"...)
}
