package conversation

import (
	"bytes"
	"strings"
	"testing"
)

func TestFrameBytes(t *testing.T) {
	for text, want := range map[string]string{
		"noop":                 "\x80\x0a" + strings.Repeat("\x00", 22),
		"get opaque=5 key=abc": "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00abc",
		"set flags=1 exptime=2 cas={c} key=k value=a b": "\x80\x01\x00\x01\x08\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x00" +
			"\x00\x00\x00\x00\x00\x00\x00\x63\x00\x00\x00\x01\x00\x00\x00\x02ka b",
		"incr delta=1 initial=2": "\x80\x05\x00\x00\x10\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
			"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02",
		`0x99 magic=0x70 keylen=258 extraslen=9 bodylen=0x01020304 extras=\0{2*x} value=`: "\x70\x99\x01\x02\x09\x00\x00\x00\x01\x02\x03\x04" +
			strings.Repeat("\x00", 12) + "\x00xx",
	} {
		f, missing, err := parseFrame(magicRequest, text, map[string]string{"c": "99"})
		if err != nil || missing != "" {
			t.Errorf("%q: %q, %v", text, missing, err)
		} else if got := f.bytes(); string(got) != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "sing", "256", "get nonsense", "get colour=1", "get opaque=x", `get key=\q`, `get value=\q`} {
		if _, _, err := parseFrame(magicRequest, text, nil); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for _, text := range []string{"get cas={unknown}", "get value={unknown}", "get key={unknown}"} {
		if _, missing, err := parseFrame(magicRequest, text, nil); missing != "unknown" || err != nil {
			t.Errorf("%q: missing %q, %v", text, missing, err)
		}
	}
}

// TestFrameFailures shows that a wrong reply is noticed.
func TestFrameFailures(t *testing.T) {
	const script = ">: set flags=0 exptime=0 key=a value=1\n<: set cas=<c>\n>: get key=a\n<: get flags=0 cas={c} value=1\n" +
		">: stat\n<:...\n<: stat key=b value=2\n<: stat\n>: getk key=b\n<: getk opaque=0 not-found key=b value=\n>: quit\n<: quit\n! closed\n"
	reply := func(text string) string {
		f, _, err := parseFrame(magicReply, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(f.bytes())
	}
	all := []string{
		"set cas=7", "get flags=0 cas=7 value=1", "stat key=a value=1", "stat key=b value=2", "stat", "getk not-found key=b value=", "quit",
	}
	for at, wrong := range map[int]string{
		-1: "", 0: "set exists", 1: "get flags=0 cas=8 value=1", 3: "stat key=b value=3", 4: "stat key=b value=2", 5: "getk not-found", 6: "quit value=x",
	} {
		var answers strings.Builder
		for i, text := range all {
			if i == at {
				text = wrong
			}
			answers.WriteString(reply(text))
		}
		s, err := Parse("a", script)
		if err != nil {
			t.Fatal(err)
		}
		c := &talk{script: s, peer: &scripted{answers: strings.NewReader(answers.String())}, names: map[string]string{}}
		if _, err := c.all(); (err == nil) != (at < 0) {
			t.Errorf("wrong reply %d: %v", at, err)
		}
	}
}

// TestReadFrame: what is no reply is distinguished from one that is cut short.
func TestReadFrame(t *testing.T) {
	for _, text := range []string{"", "\x81", "VALUE a 0 1\r\n1\r\nEND\r\nVALUE", "\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09" + strings.Repeat("\x00", 12) + "cut"} {
		if _, err := readFrame(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestConfigure(t *testing.T) {
	o, err := configure(strings.Fields("-F -M -I 2m -m 32 -R 5 -B binary"))
	if err != nil {
		t.Fatal(err)
	}
	if !o.proto.Settings.FlushDisabled || !o.store.NoEvict || o.store.ItemMax != 2<<20 || o.store.Limit != 32<<20 || o.proto.RequestsPerEvent != 5 {
		t.Errorf("%+v", o)
	}
	for _, flags := range []string{"-x", "-I", "-I x", "-B french", "-Y nothing-of-that-name", "-F -F -R"} {
		if _, err := configure(strings.Fields(flags)); err == nil {
			t.Errorf("%q was taken", flags)
		}
	}
}
