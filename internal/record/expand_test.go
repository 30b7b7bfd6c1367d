package record

import (
	"reflect"
	"runtime"
	"syscall"
	"testing"
)

type typeOfAEAD = reflect.Type

func pointerFreeValue(v any) bool { return pointerFree(reflect.TypeOf(v)) }

func isZeroValue(v any) bool { return reflect.ValueOf(v).Elem().IsZero() }

// TestMappedMemory: keys lie in memory that the garbage collector does not know, and which goes back to the system and comes again.
func TestMappedMemory(t *testing.T) {
	mapped := 0
	c := New(300, func(n int) ([]byte, error) {
		mapped++
		return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANONYMOUS)
	})
	c.Unmap = func(mem []byte) error {
		mapped--
		return syscall.Munmap(mem)
	}
	for _, id := range append(append([]uint16(nil), suites13...), suites12...) {
		clients, servers := connections(t, id, 130)
		for range 2 {
			for i := range clients {
				buf := make([]byte, 100)
				n := c.SealCopy(uint32(2*i), clients[i], buf, []byte("hello"))
				if plain, _, event := c.Open(uint32(2*i+1), servers[i], buf[:n]); string(plain) != "hello" {
					t.Fatalf("%+v", event)
				}
			}
			runtime.GC()
			if mapped != 4 {
				t.Fatalf("260 keys in %d pieces", mapped)
			}
			for range idleTicks {
				c.Tick()
			}
			runtime.GC()
			if mapped != 0 {
				t.Fatalf("%d pieces are left", mapped)
			}
		}
		for i := range clients {
			c.Drop(uint32(2*i), clients[i])
			c.Drop(uint32(2*i+1), servers[i])
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
