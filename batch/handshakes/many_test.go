package handshakes

import (
	"crypto/tls"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"ringcached/internal/handshake"
)

// TestMany: clients that shake hands, leave, talk nonsense, and say nothing, all at once; every one gets what it should.
func TestMany(t *testing.T) {
	a := newAuthority(t)
	server := a.server(t)
	p := newPool(t, server, 8, patience)
	kinds := []struct {
		want handshake.Outcome
		does func(net.Conn)
	}{
		{handshake.Done, func(c net.Conn) { tls.Client(c, a.client()).Handshake() }},
		{handshake.Disconnected, func(c net.Conn) { c.Close() }},
		{handshake.Disconnected, func(c net.Conn) { c.Write([]byte{22, 3, 1}); c.Close() }},
		{handshake.NotTLS, func(c net.Conn) { c.Write([]byte("version\r\n")); c.Read(make([]byte, 1)); c.Close() }},
		{handshake.ClientAlert, func(c net.Conn) { tls.Client(c, &tls.Config{ServerName: "cache"}).Handshake(); c.Close() }},
		{handshake.Timeout, func(net.Conn) {}},
	}
	const each = 20
	ends := make(endings, each*len(kinds))
	var clients sync.WaitGroup
	for i := range each * len(kinds) {
		fd, client := pair(t)
		kind := kinds[i%len(kinds)]
		p.Start(fd, handshake.PeerByMode, func(result handshake.Result, ok bool) {
			if ok {
				unix.Close(fd)
			}
			ends.done(fmt.Sprint(i))(result, ok)
		})
		clients.Go(func() { kind.does(client) })
		if i%10 == 0 {
			runtime.GC() // looks at the stacks of handshakes that wait
		}
	}
	clients.Wait()
	for range each * (len(kinds) - 1) {
		end := ends.next(t)
		var i int
		fmt.Sscan(end.name, &i)
		if want := kinds[i%len(kinds)].want; end.result.Outcome != want || end.ok != want.OK() {
			t.Errorf("client %d: outcome %v, ok %v; want %v", i, end.result.Outcome, end.ok, want)
		}
	}
	p.Close()
	for range each {
		ends.expectFailure(t, handshake.Timeout)
	}
	if counts := server.Counts(); counts[handshake.Done] != each || counts.Failed() != each*uint64(len(kinds)-1) {
		t.Errorf("counted %v", counts)
	}
}
