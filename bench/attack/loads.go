package attack

import (
	"fmt"
	"strings"
)

// hostileLoad is something that hostile clients do, and the server that they do it to.
type hostileLoad struct {
	name, title string
	args        []string // of the server; {dir} is a directory that it may write to, in memory where there is room
	memoryMB    int      // -m; 0: 64
	unreadLog   bool     // the server's stderr is a pipe that nobody reads
	noSets      bool     // the polite client only gets: the server may refuse sets for good reason
	settles     bool     // memory is looked at again when the attackers have been gone for a while
	fill        fill     // what the store holds beforehand
	standing    int      // connections that are open and idle all the time, as others' are
	swarm       swarm
}

// fill is items that nobody asks for.
type fill struct {
	perItem   int    // times AttackOptions.Items; 0: none
	most      int    // items; 0: as many as that
	key       string // {n} is the number of the item
	valueSize int
}

// swarm is what each attacker does on its connection.
type swarm struct {
	conns int
	open  string   // sent once on each connection; {n} is the number of the connection
	batch string   // sent over and over
	count int      // requests in batch
	reads bool     // the reply to a batch before it sends the next one; else nothing is ever read
	until []string // a reply ends with one of them
	then  string   // every other time instead of batch
	pace  int      // milliseconds between a reply and the next batch
	drips bool     // a byte per second behind open
	churn bool     // connects and closes without a byte

	datagrams []string // sent over UDP one after the other, each when nothing has come for pace; open goes over TCP before
}

// The no-op that ends a batch, and its reply.
const (
	noop      = "mn\r\n"
	noopReply = "MN\r\n"
)

// closedLoop is a swarm that repeats a request, each client after the replies to its last count requests.
func closedLoop(conns, count int, request string) swarm {
	return swarm{conns: conns, batch: strings.Repeat(request, count) + noop, count: count, reads: true, until: []string{noopReply}}
}

// metadump is a swarm that asks for the keys of classes. There is no no-op behind, for memcached 1.6.45 leaves what comes with a metadump until more comes.
func metadump(classes string) swarm {
	return swarm{conns: 2, batch: "lru_crawler metadump " + classes + "\r\n", count: 1, reads: true, until: []string{"END\r\n", "BUSY currently processing crawler request\r\n"}}
}

// alternate is one client that makes two requests in turn, pace milliseconds after the last reply.
func alternate(pace int, batch, then string) swarm {
	s := closedLoop(1, 1, batch)
	s.then, s.pace = then+noop, pace
	return s
}

// behind makes the swarm store or switch on something first.
func (s swarm) behind(open string) swarm {
	s.open = open
	return s
}

// unread is a swarm that asks for the only item over and over and reads no reply.
func unread(conns int) swarm {
	return swarm{conns: conns, batch: strings.Repeat("get f0\r\n", 1000), count: 1000}
}

// emptyClass is a slab class that holds no item of a load.
const emptyClass = 20

// udpFrame is the header of a datagram of one.
const udpFrame = "\x00\x01\x00\x00\x00\x01\x00\x00"

// hostileLoads are in the order in which they run.
func hostileLoads() []hostileLoad {
	small := fill{perItem: 1, key: "f{n}", valueSize: 50}
	million := strings.Repeat("v", 1_000_000)
	return []hostileLoad{
		{name: "uploads-64", title: "64 connections send only the header of a set of 1 MB", fill: fill{1, 100_000, "f{n}", 100},
			swarm: swarm{conns: 64, open: "set upload{n} 0 0 1000000\r\n"}},
		{name: "uploads-1000", title: "1000 of them", fill: fill{1, 100_000, "f{n}", 100},
			swarm: swarm{conns: 1000, open: "set upload{n} 0 0 1000000\r\n"}},
		{name: "uploads-drip", title: "1000 of them, then a byte per second each", fill: fill{1, 100_000, "f{n}", 100},
			swarm: swarm{conns: 1000, open: "set upload{n} 0 0 1000000\r\n", drips: true}},
		{name: "upload-huge", title: "the header of one set of 500 MB, -I 512m, a full store", memoryMB: 1024, args: []string{"-I", "512m"}, fill: fill{4, 0, "f{n}", 200},
			swarm: swarm{conns: 1, open: "set upload 0 0 500000000\r\n"}},
		{name: "nonreaders-1k", title: "1000 clients ask for values of 1 KB all the time and read nothing", settles: true,
			fill: fill{1, 1, "f{n}", 1000}, swarm: unread(1000)},
		{name: "nonreaders-100k", title: "1000 clients ask for values of 100 KB all the time and read nothing", settles: true,
			fill: fill{1, 1, "f{n}", 100_000}, swarm: unread(1000)},
		{name: "memlimit", title: "cache_memlimit down to 64 MB, up to 1 GB 200 ms later, -e", memoryMB: 1024, args: []string{"-e", "{dir}/memory"}, fill: fill{1, 100_000, "f{n}", 200},
			swarm: alternate(200, "cache_memlimit 64\r\n", "cache_memlimit 1024\r\n")},
		{name: "stats-conns", title: "stats conns, with 5000 connections", standing: 5000, swarm: closedLoop(2, 1, "stats conns\r\n")},
		{name: "stats-sizes", title: "stats sizes", memoryMB: 1024, fill: small, swarm: closedLoop(2, 1, "stats sizes\r\n").behind("stats sizes_enable\r\n")},
		{name: "cachedump", title: "cachedump of an empty class", memoryMB: 1024, fill: small,
			swarm: closedLoop(2, 1, fmt.Sprintf("stats cachedump %d 0\r\n", emptyClass))},
		{name: "metadump", title: "metadump of an empty class", memoryMB: 1024, fill: small,
			swarm: metadump(fmt.Sprint(emptyClass))},
		{name: "metadump-all", title: "metadump of all", memoryMB: 1024, fill: small, swarm: metadump("all")},
		{name: "detail-dump", title: "stats detail dump, of 100 000 prefixes at most", memoryMB: 1024, args: []string{"-D", ":"},
			fill: fill{1, 100_000, "prefix{n}:k", 10}, swarm: closedLoop(2, 1, "stats detail dump\r\n")},
		{name: "sets-too-large", title: "sets of 1.1 MB, which is too large",
			swarm: closedLoop(4, 1, "set large 0 0 1100000\r\n"+strings.Repeat("v", 1_100_000)+"\r\n")},
		{name: "sets-no-memory", title: "sets that find no memory, -M and a full store", args: []string{"-M"}, noSets: true, fill: fill{1, 0, "f{n}", 100},
			swarm: closedLoop(8, 50, "set other 0 0 1000\r\n"+strings.Repeat("v", 1000)+"\r\n")},
		{name: "appends", title: "appends of 900 bytes to values that grow to 900 KB", swarm: appends(8, 1000, 900)},
		{name: "multiget-misses", title: "multiget of 10 000 keys that are missing", swarm: closedLoop(8, 1, missingKeys(10_000))},
		{name: "line-ends", title: "empty lines, pipelined", swarm: closedLoop(8, 4000, "\r\n")},
		{name: "get-errors", title: "get without a key, pipelined", swarm: closedLoop(8, 2000, "get\r\n")},
		{name: "udp-garbage", title: "datagrams that are no requests, over UDP",
			swarm: swarm{conns: 4, pace: 1, datagrams: []string{"\xff\xfe\xfd garbage \x00\x01", udpFrame + "garbage\r\n", udpFrame + "ERROR\r\n", "short"}}},
		{name: "udp-amplify", title: "get of 1 MB over UDP",
			swarm: swarm{conns: 1, pace: 50, open: "set wide 0 0 1000000\r\n" + million + "\r\n", datagrams: []string{udpFrame + "get wide\r\n"}}},
		{name: "unread-log", title: "verbosity 2 and gets, with a pipe for stderr that nobody reads", unreadLog: true,
			swarm: closedLoop(4, 100, "get missing\r\n").behind("verbosity 2\r\n")},
		{name: "churn", title: "connects and closes without a byte", swarm: swarm{conns: 50, churn: true}},
		{name: "full", title: "1000 connections that are idle, -c 500", args: []string{"-c", "500"}, swarm: swarm{conns: 1000}},
	}
}

// appends are sets of nothing, each with appends to what it stored, on keys of their own.
func appends(conns, count, size int) swarm {
	s := closedLoop(conns, count, "append {n} 0 0 "+fmt.Sprint(size)+"\r\n"+strings.Repeat("a", size)+"\r\n")
	s.batch = "set {n} 0 0 0\r\n\r\n" + s.batch
	return s
}

func missingKeys(n int) string {
	var b strings.Builder
	b.WriteString("get")
	for i := range n {
		fmt.Fprintf(&b, " m%d", i)
	}
	return b.String() + "\r\n"
}

// Loads lists the names of the loads, each with what it is.
func Loads() (names, titles []string) {
	for _, l := range hostileLoads() {
		names, titles = append(names, l.name), append(titles, l.title)
	}
	return names, titles
}
