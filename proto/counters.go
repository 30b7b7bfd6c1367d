package proto

import "ringcached/proto/admin"

// tally counts what requests do.
type tally struct{ admin.Tally }

func (t *tally) add(c admin.Counter) { t.Add(c) }

func (t *tally) addClass(class int, c admin.ClassCounter) { t.AddClass(class, c) }

const (
	getMisses         = admin.GetMisses
	getExpired        = admin.GetExpired
	getFlushed        = admin.GetFlushed
	touchMisses       = admin.TouchMisses
	deleteMisses      = admin.DeleteMisses
	incrMisses        = admin.IncrMisses
	decrMisses        = admin.DecrMisses
	casMisses         = admin.CasMisses
	flushCommands     = admin.FlushCommands
	storeTooLarge     = admin.StoreTooLarge
	storeNoMemory     = admin.StoreNoMemory
	uploadKicks       = admin.UploadKicks
	connYields        = admin.ConnYields
	metaCommands      = admin.MetaCommands
	authCommands      = admin.AuthCommands
	authErrors        = admin.AuthErrors
	datagramsIgnored  = admin.DatagramsIgnored
	datagramsRefused  = admin.DatagramsRefused
	datagramsTooLarge = admin.DatagramsTooLarge
	getHits           = admin.GetHits
	setCommands       = admin.SetCommands
	deleteHits        = admin.DeleteHits
	incrHits          = admin.IncrHits
	decrHits          = admin.DecrHits
	casHits           = admin.CasHits
	casBadval         = admin.CasBadval
	touchHits         = admin.TouchHits
)

type counter = admin.Counter

func or(value, otherwise string) string { return choose(value != "", value, otherwise) }

type use = admin.Use
