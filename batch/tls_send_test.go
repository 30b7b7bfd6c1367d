package batch

import (
	"crypto/tls"
	"testing"
	"unsafe"

	"ringcached/internal/record"
	"ringcached/ring"
)

// TestSealsLessWhereClientsHoldMuch: what a large reply is sealed into is smaller where clients hold much, so that many who wait for one stay.
func TestSealsLessWhereClientsHoldMuch(t *testing.T) {
	mem, err := ring.Map(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ring.Unmap(mem) }()
	ch, _ := unserved(t, EngineEpoll)
	for i, most := range []int{128 << 10, 64 << 10, 16 << 10} {
		c := ch.newConn(arrival{fd: -1})
		secrets, err := record.FromTraffic(tls.TLS_AES_128_GCM_SHA256, false, make([]byte, 32), make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		if err := ch.startTLS(c, &secrets); err != nil {
			t.Fatal(err)
		}
		ch.allowed = &allowances[i]
		b := newSendQueue(c, 0)
		b.add(&ch.blocks, segment{addr: uintptr(unsafe.Pointer(&mem[0])), len: len(mem), next: -1, unsealed: true})
		b.bytes = len(mem)
		ch.stats.sendQueueBytes.Add(uint64(len(mem)))
		if !ch.sealNext(c, b) || b.size != most || b.parts[b.head].len < most*9/10 {
			t.Errorf("allowance %d: a part of %d bytes in memory of %d, want %d", i, b.parts[b.head].len, b.size, most)
		}
		ch.giveBack(b)
		ch.endTLS(c)
		ch.conns.put(c)
	}
}
