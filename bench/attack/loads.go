package attack

import (
	_ "embed"
	"regexp"
	"strconv"
	"strings"

	"ringcached/bench/load"
)

// Load is something that hostile clients do, and the server that they do it to.
type Load struct {
	Name      string   `json:"name"`
	Title     string   `json:"title"`
	Args      []string `json:"args"`       // of the server; $dir is a directory for it, in memory where there is room
	MemoryMB  int      `json:"memory_mb"`  // -m; 0: 64
	UnreadLog bool     `json:"unread_log"` // the server's stderr is a pipe that nobody reads
	NoSets    bool     `json:"no_sets"`    // the polite client only gets: the server may refuse sets for good reason
	Settles   bool     `json:"settles"`    // memory is looked at again when the attackers have been gone for a while
	Standing  int      `json:"standing"`   // connections that are open and idle all the time, as others' are
	Prepare   string   `json:"prepare"`    // is sent to the server before
	// Fill is items that nobody asks for: PerItem times Options.Items, Most of them where there is such a limit. $n
	// is the number of the item.
	Fill struct {
		PerItem int    `json:"per_item"`
		Most    int    `json:"most"`
		Key     string `json:"key"`
		Value   int    `json:"value"` // bytes
	} `json:"fill"`
	Swarm swarm `json:"swarm"`
}

// swarm is what attackers do, each on a connection of its own: the steps in turn, and then again those that are not
// for once. Without steps they are silent.
type swarm struct {
	Conns int    `json:"conns"`
	UDP   bool   `json:"udp"` // each text is a datagram, which is sent when nothing has come for the last one's Pace
	Steps []step `json:"steps"`
}

// step is something that an attacker does.
type step struct {
	Send   string   `json:"send"`    // $n is the number of the connection
	Count  int      `json:"count"`   // requests in it
	Until  []string `json:"until"`   // what the reply ends with, which is read; none in all steps: nothing is
	Pace   int      `json:"pace"`    // milliseconds until the next step
	Once   bool     `json:"once"`    // on each connection
	HangUp bool     `json:"hang_up"` // closes the connection
}

// loadsJSON and requestsJSON hold the loads and what Cost asks for. Their texts are bytes, and {3:x#} stands for
// x0x1x2. A batch ends with a no-op, whose reply is the last one; not that of metadump, for memcached 1.6.45 leaves
// what comes with a metadump until more comes.
var (
	//go:embed loads.json
	loadsJSON []byte
	//go:embed requests.json
	requestsJSON []byte
)

// noop is the no-op that ends a batch, and noopReply its reply. udpFrame is as long as the header of a datagram.
const noop, noopReply, udpFrame = "mn\r\n", "MN\r\n", 8

// Loads are in the order in which they run.
func Loads() []Load {
	all := table[Load](loadsJSON)
	for i := range all {
		all[i].Prepare = expand(all[i].Prepare)
		for j := range all[i].Swarm.Steps {
			s := &all[i].Swarm.Steps[j]
			s.Send = expand(s.Send)
		}
	}
	return all
}

// table reads one of the tables.
func table[T any](text []byte) (rows []T) {
	load.Decode(text, &rows)
	return rows
}

var repetition = regexp.MustCompile(`\{(\d+):([^{}]*)\}`)

// expand is the bytes that a text in a table stands for.
func expand(text string) string {
	for repetition.MatchString(text) { // from the inner ones to the outer ones
		text = repetition.ReplaceAllStringFunc(text, func(all string) string {
			m := repetition.FindStringSubmatch(all)
			n, _ := strconv.Atoi(m[1])
			if !strings.Contains(m[2], "#") {
				return strings.Repeat(m[2], n)
			}
			var b strings.Builder
			for i := range n {
				b.WriteString(strings.ReplaceAll(m[2], "#", strconv.Itoa(i)))
			}
			return b.String()
		})
	}
	bytes := make([]byte, 0, len(text))
	for _, r := range text {
		bytes = append(bytes, byte(r))
	}
	return string(bytes)
}
