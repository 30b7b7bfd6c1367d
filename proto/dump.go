package proto

import (
	"encoding/base64"
	"math"
	"strconv"

	"ringcached/store"
)

// replyEndMeta ends a list of meta commands.
const replyEndMeta = "EN\r\n"

// dump is a walk that shows each item of some classes in a line, and says end behind the last.
func dump(classes store.ClassSet, line func(w *Worker, b []byte, it store.Item) []byte, end string) *walk {
	return &walk{
		place: store.Walk{Classes: classes},
		left:  math.MaxUint32,
		see: func(w *Worker, k *walk, it store.Item) {
			if k.left > 0 {
				k.left--
				w.lines = line(w, w.lines, it)
			}
		},
		end: func(w *Worker, _ *walk) bool {
			w.write(end)
			return true
		},
	}
}

// appendMetadump shows an item as `lru_crawler metadump` does: with Unix times, and with the key so that it has no space.
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
	return append(b, '\n')
}

// appendUnix writes a second of the store as a Unix time.
func (w *Worker) appendUnix(b []byte, second uint32) []byte {
	return strconv.AppendInt(b, w.srv.epoch+int64(second), 10)
}

// appendMetaGet shows an item as the `mg` command that fetches it. A key that could not stand in a line is encoded.
func appendMetaGet(_ *Worker, b []byte, it store.Item) []byte {
	b = append(b, "mg "...)
	if isBinary(it) || tokenEnd(it.Key(), 0) < len(it.Key()) {
		b = append(base64.StdEncoding.AppendEncode(b, it.Key()), " b"...)
	} else {
		b = append(b, it.Key()...)
	}
	return append(b, "\r\n"...)
}

// appendCacheItem shows an item as `stats cachedump` does.
func appendCacheItem(w *Worker, b []byte, it store.Item) []byte {
	b = append(append(b, "ITEM "...), it.Key()...)
	b = strconv.AppendInt(append(b, " ["...), int64(it.Len()), 10)
	b = append(b, " b; "...)
	if it.Exptime() == 0 {
		b = append(b, '0')
	} else {
		b = w.appendUnix(b, it.Exptime())
	}
	return append(b, " s]\r\n"...)
}

const (
	replyNoCachedump = "CLIENT_ERROR stats cachedump not allowed\r\n"
	replyBadLine     = "CLIENT_ERROR bad command line\r\n"
	replyIllegalSlab = "CLIENT_ERROR Illegal slab id\r\n"
)

// cachedump answers `stats cachedump <class> <limit>`: so many items of a class, all for a limit of 0. Keys that could not stand in a
// line are left out.
func (w *Worker) cachedump(s *session, r *request) (int, step) {
	if w.srv.config.Settings.DumpDisabled {
		return w.reply(r, replyNoCachedump)
	}
	if r.n < 4 {
		return w.reply(r, replyBadLine)
	}
	class, ok := parseUint(r.arg(2), math.MaxUint32)
	limit, ok2 := parseUint(r.arg(3), math.MaxUint32)
	switch {
	case !ok || !ok2:
		return w.reply(r, replyBadFormat)
	case class >= maxClasses:
		return w.reply(r, replyIllegalSlab)
	case w.conn == guest:
		return w.reply(r, replyNoDatagram)
	}
	k := dump(1<<class, appendCacheItem, replyEnd)
	if limit > 0 {
		k.left = uint32(limit)
	}
	show := k.see
	k.see = func(w *Worker, k *walk, it store.Item) {
		if !isBinary(it) && tokenEnd(it.Key(), 0) == len(it.Key()) {
			show(w, k, it)
		}
	}
	return w.startWalk(s, k, r.size)
}
