package soak

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Keys that all clients share, whatever they speak: small values, large ones, and numbers.
const (
	smallKeys  = 5000
	hotKeys    = 20 // of the small ones: read again and again, so that they are found in other ways
	largeKeys  = 60
	numberKeys = 50
	largeMost  = 900_000 // bytes
)

func smallKey(r *rand.Rand) string  { return fmt.Sprintf("key-%d", r.IntN(smallKeys)) }
func hotKey(r *rand.Rand) string    { return fmt.Sprintf("key-%d", r.IntN(hotKeys)) }
func largeKey(r *rand.Rand) string  { return fmt.Sprintf("large-%d", r.IntN(largeKeys)) }
func numberKey(r *rand.Rand) string { return fmt.Sprintf("number-%d", r.IntN(numberKeys)) }

// smallSize is mostly a few hundred bytes, and sometimes some thousand.
func smallSize(r *rand.Rand) int {
	if r.IntN(10) == 0 {
		return r.IntN(20_000)
	}
	return r.IntN(400)
}

// text pipelines text commands of all kinds.
func text(c *client) error {
	p := &pipeline{}
	for range 1 + c.r.IntN(60)*c.r.IntN(4) {
		p.textCommand(c)
	}
	return c.exchange(p)
}

func (p *pipeline) textCommand(c *client) {
	key := smallKey(c.r)
	switch c.r.IntN(24) {
	case 0, 1, 2:
		p.set(c, key, "")
	case 3:
		p.set(c, key, " noreply")
	case 4:
		keys := make([]string, 1+c.r.IntN(100))
		for i := range keys {
			keys[i] = smallKey(c.r)
		}
		p.add(func() error { return c.values(keys, false) }, "get %s\r\n", strings.Join(keys, " "))
	case 5:
		p.add(func() error { return c.values([]string{key}, true) }, "gets %s\r\n", key)
	case 6:
		p.add(func() error { return c.anyOf("DELETED", "NOT_FOUND") }, "delete %s\r\n", key)
	case 7:
		p.add(func() error { return c.anyOf("TOUCHED", "NOT_FOUND") }, "touch %s %d\r\n", key, 1+c.r.IntN(5))
	case 8:
		p.add(func() error { return c.values([]string{key}, false) }, "gat %d %s\r\n", 1+c.r.IntN(5), key)
	case 9:
		v := valueOf(c.r, key, smallSize(c.r))
		p.add(func() error { return c.anyOf(append([]string{"NOT_STORED"}, stored...)...) }, "%s %s 0 2 %d\r\n%s\r\n",
			[]string{"add", "replace"}[c.r.IntN(2)], key, len(v), v)
	case 10:
		v := valueOf(c.r, key, 50)
		p.add(func() error { return c.anyOf(append([]string{"EXISTS", "NOT_FOUND"}, stored...)...) }, "cas %s 0 0 %d %d\r\n%s\r\n",
			key, len(v), c.r.IntN(10_000), v)
	case 11:
		p.number(c)
	case 12:
		p.add(func() error { return c.anyOf("ERROR") }, "no such command\r\n")
	default:
		hot := hotKey(c.r)
		p.add(func() error { return c.values([]string{hot}, false) }, "get %s\r\n", hot)
	}
}

func (p *pipeline) set(c *client, key, quiet string) {
	v := valueOf(c.r, key, smallSize(c.r))
	reply := func() error { return c.anyOf(stored...) }
	if quiet != "" {
		reply = nil
	}
	p.add(reply, "set %s %d %d %d%s\r\n%s\r\n", key, c.r.IntN(3), c.r.IntN(3)*c.r.IntN(3), len(v), quiet, v)
}

// number sets a number, or counts with it.
func (p *pipeline) number(c *client) {
	key := numberKey(c.r)
	if c.r.IntN(5) == 0 {
		p.add(func() error { return c.anyOf(stored...) }, "set %s 0 0 1\r\n7\r\n", key)
		return
	}
	p.add(func() error {
		line, err := c.line()
		if err != nil || line == "NOT_FOUND" || line == "SERVER_ERROR out of memory" {
			return err
		}
		if _, err := strconv.ParseUint(line, 10, 64); err != nil {
			return fmt.Errorf("WRONG REPLY: %.100q to incr", line)
		}
		return nil
	}, "incr %s %d\r\n", key, c.r.IntN(1000))
}

// meta pipelines meta commands.
func meta(c *client) error {
	p := &pipeline{}
	for i := range 1 + c.r.IntN(60) {
		key := smallKey(c.r)
		switch c.r.IntN(6) {
		case 0, 1:
			v := valueOf(c.r, key, smallSize(c.r))
			p.add(func() error { return c.anyOf(fmt.Sprintf("HD O%d", i), stored[1], "NS "+fmt.Sprintf("O%d", i)) },
				"ms %s %d T%d O%d\r\n%s\r\n", key, len(v), c.r.IntN(4)*100-100, i, v)
		case 2:
			p.add(func() error { return c.anyOf("HD", "NF") }, "md %s\r\n", key)
		case 3:
			p.add(nil, "mg %s k v q\r\nmn\r\n", key)
			p.replies = append(p.replies, func() error { return c.quietMeta(key) })
		default:
			p.add(func() error { return c.metaValue(key, fmt.Sprintf("O%d", i)) }, "mg %s k v f t O%d\r\n", key, i)
		}
	}
	return c.exchange(p)
}

// metaValue reads the reply to an mg with flag k and an opaque.
func (c *client) metaValue(key, opaque string) error {
	line, err := c.line()
	if err != nil || line == "EN k"+key+" "+opaque {
		return err
	}
	return c.metaBody(line, key, opaque)
}

// quietMeta reads the reply to a quiet mg, if there is one, and that to mn.
func (c *client) quietMeta(key string) error {
	line, err := c.line()
	if err != nil || line == "MN" {
		return err
	}
	return errors.Join(c.metaBody(line, key, ""), c.anyOf("MN"))
}

func (c *client) metaBody(line, key, opaque string) error {
	f := strings.Fields(line)
	n, bad := 0, len(f) < 3 || f[0] != "VA" || f[2] != "k"+key || opaque != "" && f[len(f)-1] != opaque
	if !bad {
		var err error
		n, err = strconv.Atoi(f[1])
		bad = err != nil
	}
	if bad {
		return fmt.Errorf("WRONG REPLY: %.100q to mg %s", line, key)
	}
	return c.value(key, n)
}

// large stores a large value, cut at random places, and reads several.
func large(c *client) error {
	key := largeKey(c.r)
	v := valueOf(c.r, key, 10_000+c.r.IntN(largeMost))
	for rest := fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, len(v), v); len(rest) > 0; {
		n := min(1+c.r.IntN(300_000), len(rest))
		if err := c.say(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if err := c.anyOf(stored...); err != nil {
		return err
	}
	p := &pipeline{}
	for range 4 {
		keys := []string{largeKey(c.r), smallKey(c.r), largeKey(c.r)}
		p.add(func() error { return c.values(keys, false) }, "get %s\r\n", strings.Join(keys, " "))
	}
	return c.exchange(p)
}

// malformed sends what no client should, and gets an error, or is disconnected.
func malformed(c *client) error {
	c.mayBeCut = true
	var b bytes.Buffer
	switch c.r.IntN(6) {
	case 0:
		b.WriteString("get " + strings.Repeat("x", 251+c.r.IntN(1000)) + "\r\n")
	case 1:
		b.Write(noise[:c.r.IntN(5000)])
	case 2:
		b.WriteString("set k 0 0 99999999\r\n")
		b.Write(noise[:c.r.IntN(100_000)])
	case 3:
		b.WriteString("set key-1 0 0 3\r\ntoo much\r\n")
	case 4:
		b.WriteString(strings.Repeat("y", 100_000))
	case 5:
		b.WriteByte(0x80)
		b.Write(noise[:23+c.r.IntN(100)])
	}
	err := c.say(b.Bytes())
	if err == nil {
		err = c.judge(c.closeWrite())
	}
	for err == nil {
		_, err = c.bytes(1)
	}
	return err
}
