package proto_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ringcached/internal/contract"
	"ringcached/proto"
)

// TestAheadChangesNothing: requests that come together, of which many are parsed before the first is answered, get the replies that they get one by
// one, whatever is stored, deleted and refused between them.
func TestAheadChangesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	key := func() string { return fmt.Sprint("key", random.IntN(12)) }
	keys := func() string {
		var b strings.Builder
		for range random.IntN(50) + 1 {
			b.WriteString(strings.Repeat(" ", random.IntN(2)+1) + key())
		}
		return b.String()
	}
	value := func() string { return strings.Repeat("v", random.IntN(200)) }
	text := []func() string{
		func() string { return "get " + key() + "\r\n" },
		func() string { return "get " + key() + "\n" },
		func() string { return "get" + keys() + "\r\n" },
		func() string { return "gets" + keys() + "\r\n" },
		func() string { return "gat 0" + keys() + "\r\n" },
		func() string { return "mg " + key() + " k v\r\n" },
		func() string { return "mg " + key() + " k v\n" },
		func() string { return "mg " + key() + " v f k s\r\n" },
		func() string { return "mg " + key() + "\r\n" },
		func() string { return "mg " + key() + " q v\r\n" },
		func() string { return "mg " + key() + " v Oabc k\r\n" },
		func() string { return "mg " + key() + " v v\r\n" },
		func() string { return "mg " + key() + " T100 t\r\n" },
		func() string { return "mg " + key() + " N30 v t\r\n" },
		func() string { return "mg a2V5MQ== b k v\r\n" },
		func() string { return "mg a\x01b k v\r\n" },
		func() string { return "mg " + strings.Repeat("k", 251) + " k v\r\n" },
		func() string { return "mn\r\n" },
		func() string { return "ms " + key() + " 2 T0 k\r\nhi\r\n" },
		func() string { return "md " + key() + " k\r\n" },
		func() string { return "delete " + key() + "\r\n" },
		func() string { v := value(); return fmt.Sprintf("set %s 7 0 %d\r\n%s\r\n", key(), len(v), v) },
		func() string { return "get " + strings.Repeat("k", 251) + "\r\n" },
		func() string { return "nonsense\r\n" },
	}
	frames := []func() string{
		func() string { return request(0x00, 0, "", key(), "") },
		func() string { return request(0x09, 0, "", key(), "") },
		func() string { return request(0x0c, 0, "", key(), "") },
		func() string { return request(0x0d, 0, "", key(), "") },
		func() string { return request(0x0d, 0, "", key(), "") },
		func() string { return request(0x1d, 0, "\x00\x00\x00\x00", key(), "") },
		func() string { return request(0x04, 0, "", key(), "") },
		func() string { return request(0x01, 0, "\x00\x00\x00\x05\x00\x00\x00\x00", key(), value()) },
		func() string { return request(0x0a, 0, "", "", "") },
	}
	for name, kinds := range map[string][]func() string{"text": text, "binary": frames} {
		t.Run(name, func(t *testing.T) {
			for round := range 60 {
				few := func(c *proto.Config) { c.RequestsPerEvent = []int{1, 3, 20, 1000}[round%4] }
				one, all := newWorker(t, nil, few), newWorker(t, nil, few)
				if name == "binary" {
					for _, w := range []*worker{one, all} {
						w.Closed(0, contract.ReasonNormal)
						w.Open(0, proto.ProtocolBinary.Label())
					}
				}
				some := make([]int, 4) // so that requests of a kind often come one after another
				for i := range some {
					some[i] = random.IntN(len(kinds))
				}
				for range 4 {
					var requests []string
					for range 60 {
						kind := some[random.IntN(len(some))]
						if random.IntN(4) == 0 {
							kind = random.IntN(len(kinds))
						}
						requests = append(requests, kinds[kind]())
					}
					var want strings.Builder
					for _, r := range requests {
						want.WriteString(one.ask(r))
					}
					if got := all.ask(strings.Join(requests, "")); got != want.String() {
						t.Fatalf("%q:\n%q\none by one:\n%q", requests, got, want.String())
					}
				}
			}
		})
	}
}
