// Package conversation reads and runs the protocol's tests: text files that read like a telnet session.
//
//	# A comment.
//	@ -I 8m                   the server is started with this flag
//	> set a 5 0 2             the client sends this and "\r\n"
//	> hi
//	< STORED                  the server answers this and "\r\n"
//	>> get a\n                the client sends exactly this
//	<< VALUE a 5 2\r\n        the server answers exactly this
//	< hi
//	< END
//	> gets a
//	<~ VALUE a 5 2 (?P<cas>\d+)
//	< hi
//	< END
//	> cas a 5 0 3 {cas}       what a group of that name matched
//	> {3*o}                   "ooo"; {64k*o} and {1m*o} are longer
//	< STORED
//	> stats
//	<...                      any lines, up to one that is like the next expectation
//	< END
//	! wait 3                  three seconds pass
//	> mg a t l
//	< HD t{left 30} l{since 3}  30 and 3, less and more the seconds that the conversation has really taken
//	! connect                 the client hangs up and connects again
//	> quit
//	! closed                  the server closes, having sent nothing more; the next > connects again
//
// In what is sent and expected, \r \n \t \0 \xHH \\ \{ stand for one byte. A pattern (<~) is a Go regular expression for a whole line
// without its ending.
//
// # Binary messages
//
//	>: set flags=7 exptime=0 key=a value=hello world      the client sends a binary request
//	<: set cas=<c>                                        the server answers it; its CAS is {c} from now on
//	>: get opaque=5 key=a
//	<: get opaque=5 flags=7 cas={c} value=hello world
//	>: get key=b
//	<: get not-found                                      a status, and the text that belongs to it
//	>: incr delta=1 initial=10 exptime=0 key=n
//	<: incr cas=* number=10                               any CAS will do; the value is a number of 64 bits
//	>: stat
//	<:...                                                 any replies, up to one that is like the next
//	<: stat
//	>: 0x99 extras=\0\x01 key=a bodylen=500                 what has no name is written as a number; a header may lie
//
// The operation comes first. flags, exptime, delta, initial and extras are parts of the extras, in the order in which they stand.
// keylen, extraslen, bodylen and magic override what the header says. A value goes on to the end of the line, and value=* is any. What
// is not mentioned is empty or 0.
//
// A file runs against a proto.Worker ([Script.RunWorker]), against anything that listens ([Script.RunConn]), plain or over TLS
// ([Script.RunTLS]), and in several [Mode]s: as
// it stands, cut into single bytes, and with all requests sent before the first reply is looked at.
package conversation
