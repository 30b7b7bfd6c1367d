package soak

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"
)

// The binary protocol's operations that are used, and statuses of replies.
const (
	opGet  = 0x00
	opSet  = 0x01
	opDel  = 0x04
	opNoop = 0x0a
	opGKQ  = 0x0d

	statusOK       = 0x00
	statusNotFound = 0x01
	statusNoMemory = 0x82

	binaryHead = 24
)

// binaryRequest is a message with an opaque.
func binaryRequest(op byte, opaque uint32, extras []byte, key string, value []byte) []byte {
	b := []byte{0x80, op, byte(len(key) >> 8), byte(len(key)), byte(len(extras)), 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = binary.BigEndian.AppendUint32(b, opaque)
	b = binary.BigEndian.AppendUint64(b, 0)
	return append(append(append(b, extras...), key...), value...)
}

// binaryReply is what a client reads.
type binaryReply struct {
	op     byte
	status uint16
	opaque uint32
	key    string
	value  []byte
}

func (c *client) binaryReply() (r binaryReply, err error) {
	head, err := c.bytes(binaryHead)
	if err != nil {
		return r, err
	}
	keyLen, extras, body := int(binary.BigEndian.Uint16(head[2:])), int(head[4]), int(binary.BigEndian.Uint32(head[8:]))
	if head[0] != 0x81 || keyLen+extras > body || body > 2<<20 {
		return r, fmt.Errorf("WRONG REPLY: %x", head)
	}
	rest, err := c.bytes(body)
	if err != nil {
		return r, err
	}
	r = binaryReply{op: head[1], status: binary.BigEndian.Uint16(head[6:]), opaque: binary.BigEndian.Uint32(head[12:])}
	r.key, r.value = string(rest[extras:extras+keyLen]), rest[extras+keyLen:]
	return r, nil
}

// binaryMix pipelines binary requests, quiet ones among them.
func binaryMix(c *client) error {
	p := &pipeline{}
	for range 1 + c.r.IntN(40) {
		p.binaryCommand(c, c.r.Uint32())
	}
	return c.exchange(p)
}

func (p *pipeline) binaryCommand(c *client, opaque uint32) {
	key := smallKey(c.r)
	want := func(op byte, also uint16, check func(r *binaryReply) error) {
		p.replies = append(p.replies, func() error {
			r, err := c.binaryReply()
			if err != nil {
				return err
			}
			if r.op != op || r.opaque != opaque || r.status != statusOK && r.status != also {
				return fmt.Errorf("WRONG REPLY: %d to %d with status %#x, opaque %#x, want %#x", r.op, op, r.status, r.opaque, opaque)
			}
			if r.status == statusOK && check != nil {
				return check(&r)
			}
			return nil
		})
	}
	switch c.r.IntN(5) {
	case 0, 1:
		p.requests.Write(binaryRequest(opSet, opaque, make([]byte, 8), key, valueOf(c.r, key, smallSize(c.r))))
		want(opSet, statusNoMemory, nil)
	case 2:
		p.requests.Write(binaryRequest(opDel, opaque, nil, key, nil))
		want(opDel, statusNotFound, nil)
	case 3:
		p.requests.Write(binaryRequest(opGet, opaque, nil, key, nil))
		want(opGet, statusNotFound, func(r *binaryReply) error { return checkValue(key, r.value) })
	case 4:
		p.quietGets(c, opaque)
	}
}

// quietGets asks for some keys and reads replies until that to a noop.
func (p *pipeline) quietGets(c *client, opaque uint32) {
	for range 1 + c.r.IntN(30) {
		p.requests.Write(binaryRequest(opGKQ, opaque, nil, smallKey(c.r), nil))
	}
	p.requests.Write(binaryRequest(opNoop, opaque, nil, "", nil))
	p.replies = append(p.replies, func() error {
		for {
			r, err := c.binaryReply()
			if err != nil {
				return err
			}
			switch {
			case r.opaque != opaque || r.status != statusOK:
				return fmt.Errorf("WRONG REPLY: %d with status %#x, opaque %#x, want %#x", r.op, r.status, r.opaque, opaque)
			case r.op == opNoop:
				return nil
			}
			if err := checkValue(r.key, r.value); err != nil {
				return err
			}
		}
	})
}

// datagramHead is what a datagram begins with: id, number, total, 0, 16 bits each.
const datagramHead = 8

// datagrams sets and gets over UDP. What is lost on the way is lost; it returns how many replies came whole.
func datagrams(s *server, r *rand.Rand) (answered int, err error) {
	conn, err := net.Dial("udp", s.udp)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for id := range uint16(1 + r.IntN(50)) {
		key := smallKey(r)
		request, isGet := fmt.Sprintf("get %s\r\n", key), true
		if r.IntN(3) == 0 {
			v := valueOf(r, key, r.IntN(1000))
			request, isGet = fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(v), v), false
		}
		head := binary.BigEndian.AppendUint16(nil, id)
		if _, err := conn.Write(append(append(head, 0, 0, 0, 1, 0, 0), request...)); err != nil {
			continue // nobody listens: the reply to an earlier one
		}
		reply, err := datagramReply(conn, id)
		if err != nil {
			return answered, err
		}
		if reply == "" {
			continue
		}
		answered++
		if err := checkDatagram(key, reply, isGet); err != nil {
			return answered, err
		}
	}
	return answered, nil
}

// datagramReply puts a reply together. It is empty if it did not come in time.
func datagramReply(conn net.Conn, id uint16) (string, error) {
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	buf := make([]byte, 4096)
	var parts []string
	for got := 0; parts == nil || got < len(parts); {
		n, err := conn.Read(buf)
		if err != nil && !os.IsTimeout(err) && !isRefused(err) {
			return "", err
		}
		if err != nil {
			return "", nil
		}
		if n < datagramHead {
			return "", fmt.Errorf("WRONG REPLY: a datagram of %d bytes", n)
		}
		if binary.BigEndian.Uint16(buf) != id {
			continue // of a request that was given up
		}
		number, total := int(binary.BigEndian.Uint16(buf[2:])), int(binary.BigEndian.Uint16(buf[4:]))
		if parts == nil {
			parts = make([]string, total)
		}
		if total != len(parts) || number >= total || parts[number] != "" {
			return "", fmt.Errorf("WRONG REPLY: datagram %d of %d, after %d of %d", number, total, got, len(parts))
		}
		parts[number] = string(buf[datagramHead:n])
		got++
	}
	return strings.Join(parts, ""), nil
}

func isRefused(err error) bool {
	return strings.Contains(err.Error(), "connection refused")
}

func checkDatagram(key, reply string, isGet bool) error {
	if !isGet {
		if reply != stored[0]+"\r\n" && reply != stored[1]+"\r\n" {
			return fmt.Errorf("WRONG REPLY: %.100q to a set in a datagram", reply)
		}
		return nil
	}
	if reply == "END\r\n" || reply == "SERVER_ERROR reply too large for UDP\r\n" { // others store large values under these keys
		return nil
	}
	var flags, n int
	var name string
	line, rest, _ := strings.Cut(reply, "\r\n")
	if _, err := fmt.Sscanf(line, "VALUE %s %d %d", &name, &flags, &n); err != nil || name != key || rest[min(n, len(rest)):] != "\r\nEND\r\n" {
		return errors.Join(err, fmt.Errorf("WRONG REPLY: %.100q to a get of %s in a datagram", reply, key))
	}
	return checkValue(key, []byte(rest[:n]))
}
