package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ringcached/internal/fakeserver"
)

// frames are the datagrams of the reply to a request, each with some bytes of it.
func frames(request uint16, reply []byte, size int) (all [][]byte) {
	count := max((len(reply)+size-1)/size, 1)
	for i := range count {
		head := binary.BigEndian.AppendUint16(nil, request)
		head = binary.BigEndian.AppendUint16(head, uint16(i))
		head = binary.BigEndian.AppendUint16(head, uint16(count))
		part := reply[i*size : min((i+1)*size, len(reply))]
		all = append(all, append(append(head, 0, 0), part...))
	}
	return all
}

// route is what becomes of the datagrams of a reply on their way. It gets the number of the request among all, from
// 1, and those of the last reply on the same socket, which may be late.
type route func(n int, reply, last [][]byte) [][]byte

// startFakeDatagrams starts a fake server that answers over UDP too, on the same port, in datagrams of size bytes of
// the reply.
func startFakeDatagrams(t *testing.T, size int, way route) *fakeserver.Server {
	t.Helper()
	for {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if l, err := net.Listen("tcp4", c.LocalAddr().String()); err == nil {
			s := fakeserver.StartWith(t, l, nil)
			serveDatagrams(t, s, c, size, way)
			return s
		}
		_ = c.Close() // somebody has that port of TCP
	}
}

func serveDatagrams(t *testing.T, s *fakeserver.Server, c net.PacketConn, size int, way route) {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() {
		in := make([]byte, 64<<10)
		last := make(map[string][][]byte) // by client
		for n := 1; ; n++ {
			length, from, err := c.ReadFrom(in)
			if err != nil {
				return
			}
			line, rest, _ := strings.Cut(string(in[frameHeader:length]), "\n")
			reply, err := s.Reply(strings.Fields(line), strings.NewReader(rest))
			if err != nil || !bytes.Equal(in[2:frameHeader], []byte{0, 0, 0, 1, 0, 0}) {
				t.Errorf("a request that begins with % x: %v", in[:min(length, 20)], err)
				return
			}
			datagrams := frames(binary.BigEndian.Uint16(in), reply, size)
			sent := datagrams
			if way != nil {
				sent = way(n, datagrams, last[from.String()])
			}
			last[from.String()] = datagrams
			for _, d := range sent {
				_, _ = c.WriteTo(d, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		all.Wait()
	})
}

func udpWorkload(change func(*Workload)) Workload {
	return SmallWorkload(func(w *Workload) {
		w.Transport = TransportUDP
		if change != nil {
			change(w)
		}
	})
}

func TestDatagramsInAnyOrder(t *testing.T) {
	mixed := func(w *Workload) { w.Gets, w.Sets = 3, 1 }
	for _, c := range []struct {
		name   string
		size   int
		way    route
		change func(*Workload)
	}{
		{"one for each reply", 1392, nil, mixed},
		{"large values", 1392, nil, func(w *Workload) { w.ValueSize = 60_000 }},
		{"many small ones", 5, nil, mixed},
		{"backwards", 7, func(_ int, reply, _ [][]byte) [][]byte {
			slices.Reverse(reply)
			return reply
		}, mixed},
		{"twice", 30, func(_ int, reply, _ [][]byte) [][]byte { return append(reply, reply...) }, mixed},
		{"the last reply once more, between", 30, func(_ int, reply, last [][]byte) [][]byte {
			return slices.Concat(reply[:1], last, reply[1:])
		}, mixed},
		{"in an open loop", 30, nil, func(w *Workload) { w.Rate = 3000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				s := startFakeDatagrams(t, c.size, c.way)
				w := udpWorkload(c.change)
				o := RunOptions{Duration: time.Minute, Preload: true}
				o.Addr, o.Workload, o.Driver, o.Requests, o.Patience = s.Addr(), w, driver, 400, 20*time.Second
				report, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				r := report
				if r.Errors() != 0 || r.Lost != 0 || r.Operations != 400 || r.Misses != 0 || r.Hits != 400-r.Sets {
					t.Errorf("%+v %q", r.Counts, r.Problems)
				}
			})
		})
	}
}

// TestLostDatagramsAreCounted: some replies get lost, wholly or in part, and come with the next one, when nobody
// waits for them any more.
func TestLostDatagramsAreCounted(t *testing.T) {
	lossy := func(n int, reply, last [][]byte) [][]byte {
		switch n % 50 {
		case 10:
			return nil
		case 20:
			return reply[1:]
		case 30:
			return reply[:len(reply)-1]
		}
		return append(slices.Clone(last), reply...)
	}
	for _, rate := range []float64{0, 500} {
		eachDriver(t, func(t *testing.T, driver string) {
			s := startFakeDatagrams(t, 20, lossy)
			w := udpWorkload(func(w *Workload) { w.Rate = rate })
			if err := (Endpoint{Addr: s.Addr()}).Preload(t.Context(), &w); err != nil {
				t.Fatal(err)
			}
			o := Options{Endpoint: Endpoint{Addr: s.Addr()}, Workload: w, Driver: driver, Requests: 300, Patience: 200 * time.Millisecond}
			l, err := Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Stop()
			window, err := l.Measure(t.Context(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if window.Errors() != 0 || window.Lost < 18 || window.Operations+window.Lost != 300 || window.Latency.TotalCount() != window.Operations {
				t.Errorf("rate %g: %+v %q", rate, window.Counts, l.Problems())
			}
			if window.Open != nil && window.Open.Unanswered != 0 {
				t.Errorf("%+v", window.Open)
			}
		})
	}
}

func TestSilentDatagramServerIsFoundOut(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		s := startFakeDatagrams(t, 1000, func(n int, reply, _ [][]byte) [][]byte {
			if n > 100 {
				return nil
			}
			return reply
		})
		l, err := Start(t.Context(), Options{
			Endpoint: Endpoint{Addr: s.Addr()}, Workload: udpWorkload(nil), Driver: driver, Patience: 100 * time.Millisecond, Stall: 2 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Stop()
		if w, err := l.Measure(t.Context(), time.Minute); !errors.Is(err, ErrStalled) || w.Lost == 0 {
			t.Errorf("%+v, %v; want %v", w.Counts, err, ErrStalled)
		}
	})
}

func TestNoDatagramServer(t *testing.T) {
	eachDriver(t, func(t *testing.T, driver string) {
		l, err := Start(t.Context(), Options{Endpoint: Endpoint{Addr: fakeserver.Start(t, nil).Addr()}, Workload: udpWorkload(nil), Driver: driver})
		if err == nil {
			defer l.Stop()
			_, err = l.Measure(t.Context(), time.Minute)
		}
		if err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v, want a refusal", err)
		}
	})
}

// TestWrongDatagrams feeds a session what no server may send.
func TestWrongDatagrams(t *testing.T) {
	frame := func(request, number, count, reserved uint16, payload string) []byte {
		var b []byte
		for _, v := range []uint16{request, number, count, reserved} {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		return append(b, payload...)
	}
	for _, c := range []struct {
		name string
		in   [][]byte
		says string
	}{
		{"no header", [][]byte{[]byte("END\r\n")}, "a datagram of 5 bytes"},
		{"too long", [][]byte{make([]byte, maxReplyDatagram+1)}, "a datagram of 2048 bytes"},
		{"a request that was never sent", [][]byte{frame(2, 0, 1, 0, "END\r\n")}, "a reply to request 2, and the last one was 1"},
		{"more than all", [][]byte{frame(1, 1, 1, 0, "END\r\n")}, "datagram 1 of 1"},
		{"none at all", [][]byte{frame(1, 0, 0, 0, "END\r\n")}, "datagram 0 of 0"},
		{"reserved", [][]byte{frame(1, 0, 1, 7, "END\r\n")}, "reserved 7"},
		{"two counts", [][]byte{frame(1, 0, 3, 0, "E"), frame(1, 1, 2, 0, "ND\r\n")}, "after one of 3"},
		{"too early an end", [][]byte{frame(1, 0, 2, 0, "END\r\n"), frame(1, 1, 2, 0, "END\r\n")}, "bytes that no request asked for"},
		{"bytes behind the end", [][]byte{frame(1, 0, 1, 0, "END\r\nEND\r\n")}, "bytes that no request asked for"},
		{"no end", [][]byte{frame(1, 1, 2, 0, "D"), frame(1, 0, 2, 0, "EN")}, "the datagrams end before the reply does"},
		{"wrong bytes", [][]byte{frame(1, 0, 1, 0, "STORED\r\n")}, "unexpected line"},
	} {
		w := udpWorkload(nil)
		g := newGenerator(&w, NewKeySpace(w.Keys, w.KeySize, w.ValueSize), 1, 0)
		s, r := newSession(g, 0), newRecorder(false)
		if err := s.receive(frame(0, 0, 1, 0, "END\r\n"), 0, r); err != nil {
			t.Errorf("%s: a late datagram: %v", c.name, err)
		}
		s.fill(nil, 1, 0)
		var err error
		for _, d := range c.in {
			err = s.receive(d, 0, r)
		}
		if wrong := (*WrongReply)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

// TestRequestNumbersGoRound: 16 bits are soon used up.
func TestRequestNumbersGoRound(t *testing.T) {
	w := udpWorkload(nil)
	g := newGenerator(&w, NewKeySpace(w.Keys, w.KeySize, w.ValueSize), 1, 0)
	s, r := newSession(g, 0), newRecorder(false)
	var request, reply []byte
	step := func() {
		request = s.fill(request[:0], 1, 0)
		reply = append(append(reply[:0], request[:frameHeader]...), "END\r\n"...)
		if err := s.receive(reply, 0, r); err != nil {
			t.Fatal(err)
		}
		if err := s.receive(reply, 0, r); err != nil { // once more
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(70_000, step); n != 0 {
		t.Errorf("%v allocations for each request", n)
	}
	if r.Operations < 70_000 || s.datagrams.request > 10_000 {
		t.Errorf("%d replies, the last to request %d", r.Operations, s.datagrams.request)
	}
}

// FuzzDatagrams: whatever comes, a session says that it is wrong, or waits for more.
func FuzzDatagrams(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 0, 2, 0, 0, 'D', '\r', '\n'}, []byte{0, 1, 0, 0, 0, 2, 0, 0, 'E', 'N'})
	f.Add([]byte{0, 1, 0, 0, 255, 255, 0, 0}, []byte{0, 1, 255, 254, 255, 255, 0, 0})
	w := udpWorkload(nil)
	keys := NewKeySpace(w.Keys, w.KeySize, w.ValueSize)
	f.Fuzz(func(t *testing.T, one, two []byte) {
		g := newGenerator(&w, keys, 1, 0)
		s, r := newSession(g, 0), newRecorder(false)
		s.fill(nil, 1, 0)
		for _, in := range [][]byte{one, two, one} {
			if err := s.receive(in, 0, r); err != nil {
				s.lose(r)
				s.fill(nil, 1, 0)
			}
		}
		if r.Operations > 3 {
			t.Errorf("%d replies in 3 datagrams", r.Operations)
		}
	})
}
