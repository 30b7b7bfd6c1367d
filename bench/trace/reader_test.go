package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// all reads a trace to its end. Malformed lines are reported as "line N".
func all(r *Reader) (records []Record, problems []string, err error) {
	for {
		var rec Record
		err := r.Read(&rec)
		var bad *BadLine
		switch {
		case errors.Is(err, io.EOF):
			return records, problems, nil
		case errors.As(err, &bad):
			problems = append(problems, fmt.Sprintf("%d: %s", bad.Line, bad.Problem))
		case err != nil:
			return records, problems, err
		default:
			rec.Key = bytes.Clone(rec.Key)
			records = append(records, rec)
		}
	}
}

func same(a, b Record) bool {
	key := bytes.Equal(a.Key, b.Key)
	a.Key, b.Key = nil, nil
	return key && a.Time == b.Time && a.KeySize == b.KeySize && a.ValueSize == b.ValueSize && a.Client == b.Client && a.Op == b.Op && a.TTL == b.TTL
}

func TestReaderReadsTheFormat(t *testing.T) {
	records, problems, err := all(NewReader(strings.NewReader(
		"0,q:q:1:8WTfjZU14ee,17,213,4,get,0\n12,with,a,comma,12,0,18446744073709551615,set,86400\r\n13,yDqF:vS,27,27,8,decr,0")))
	want := []Record{
		{Key: []byte("q:q:1:8WTfjZU14ee"), KeySize: 17, ValueSize: 213, Client: 4, Op: Get},
		{Time: 12, Key: []byte("with,a,comma"), KeySize: 12, Client: 1<<64 - 1, Op: Set, TTL: 86400},
		{Time: 13, Key: []byte("yDqF:vS"), KeySize: 27, ValueSize: 27, Client: 8, Op: Decr},
	}
	if err != nil || len(problems) > 0 || !slices.EqualFunc(records, want, same) {
		t.Errorf("%+v, %q, %v", records, problems, err)
	}
}

func TestReaderTellsBadLinesAndGoesOn(t *testing.T) {
	text := strings.Join([]string{
		"0,key,3,10,1,get,0",
		"",
		"0,key,3,10,1,get",
		"x,key,3,10,1,get,0",
		"0,key,three,10,1,get,0",
		"0,key,3,-1,1,get,0",
		"0,key,3,268435457,1,get,0",
		"0,key,3,10,,get,0",
		"0,key,3,10,18446744073709551616,get,0",
		"0,key,3,10,1,GET,0",
		"0,key,3,10,1,get,1.5",
		"0,,3,10,1,get,0",
		"0," + strings.Repeat("k", maxLineSize) + ",3,10,1,get,0",
		"1,key,3,10,1,set,0",
	}, "\n")
	records, problems, err := all(NewReader(strings.NewReader(text)))
	if err != nil || len(records) != 2 || records[1].Op != Set {
		t.Errorf("%+v, %v", records, err)
	}
	for i, want := range []string{
		"2: fewer", "3: fewer", "4: the time", "5: the key size", "6: the value size", "7: the value size is no number up to 268435456", "8: the client",
		"9: the client", "10: unknown operation", "11: the TTL", "12: no key", "13: longer than",
	} {
		if i >= len(problems) || !strings.HasPrefix(problems[i], want) {
			t.Errorf("problems are %q, want %q as number %d", problems, want, i)
		}
	}
}

func TestFilesOfAllKindsAreReadBack(t *testing.T) {
	for _, name := range []string{"plain.csv", "packed.csv.gz", "packed.csv.zst"} {
		path := filepath.Join(t.TempDir(), name)
		out, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		o := DefaultOptions("etc")
		o.Requests, o.Keys = 50_000, 1000
		var want []Record
		err = o.Generate(t.Context(), func(r *Record) error {
			c := *r
			c.Key = bytes.Clone(r.Key)
			want = append(want, c)
			return out.Write(r)
		})
		if err := errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
		got, problems, err := readFile(t, path)
		if err != nil || len(problems) > 0 || !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: %d records of %d, %q, %v", name, len(got), len(want), problems, err)
		}
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole[:len(whole)*2/3], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, problems, err := readFile(t, path); err == nil && len(problems) == 0 && !strings.HasSuffix(name, ".csv") {
			t.Errorf("%s: the end is missing, and nobody says so", name)
		} else if err != nil && !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v, want the line", name, err)
		}
	}
}

func readFile(t *testing.T, path string) (records []Record, problems []string, err error) {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return all(f.Reader)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, []byte{0x1f, 0x8b, 9, 9}, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(damaged); err == nil || !strings.Contains(err.Error(), damaged) {
		t.Errorf("%v", err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if records, problems, err := readFile(t, empty); err != nil || len(records)+len(problems) > 0 {
		t.Errorf("%v, %v, %v", records, problems, err)
	}
}

func TestWriterRefusesWhatIsNotReadBack(t *testing.T) {
	w := NewWriter(io.Discard)
	for _, r := range []Record{
		{Key: nil}, {Key: []byte("a\nb")}, {Key: []byte("a"), Time: -1}, {Key: []byte("a"), ValueSize: MaxValueSize + 1}, {Key: []byte("a"), Op: opCount},
		{Key: bytes.Repeat([]byte("a"), maxLineSize)},
	} {
		if err := w.Write(&r); err == nil {
			t.Errorf("%.60v was written", r)
		}
	}
}

// FuzzReader: whatever the bytes, every line is a record or malformed, and what was read can be written and read back.
func FuzzReader(f *testing.F) {
	f.Add([]byte("0,q:q:1:8WTfjZU14ee,17,213,4,get,0\n"))
	f.Add([]byte("7,a,b,1,0,5,cas,99\r\n\n,,,,,,\n1,k,1,1,1,incr,0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := NewReader(bytes.NewReader(text))
		records, problems, err := all(r)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(text, []byte("\n"))
		if len(text) > 0 && text[len(text)-1] != '\n' {
			lines++
		}
		if len(records)+len(problems) != lines || r.Line() != int64(lines) {
			t.Fatalf("%d records and %d malformed lines of %d", len(records), len(problems), lines)
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		for i := range records {
			if err := w.Write(&records[i]); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Flush()
		if back, problems, err := all(NewReader(&out)); err != nil || len(problems) > 0 || !slices.EqualFunc(back, records, same) {
			t.Fatalf("read back: %v, %q, %v; was %v", back, problems, err, records)
		}
	})
}

// endless repeats a line.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], e.line[e.at:])
		n += m
		e.at = (e.at + m) % len(e.line)
	}
	return n, nil
}

func TestReaderAndWriterDoNotAllocate(t *testing.T) {
	r := NewReader(&endless{line: "12345,yDqF:3q:1AJrrJ1nnCJKKrnGx1A,27,27,5,get,0\n"})
	w := NewWriter(io.Discard)
	var rec Record
	if n := testing.AllocsPerRun(1000, func() {
		if err := errors.Join(r.Read(&rec), w.Write(&rec)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per record, want 0", n)
	}
}

func BenchmarkReader(b *testing.B) {
	r := NewReader(&endless{line: "12345,yDqF:3q:1AJrrJ1nnCJKKrnGx1A,27,27,5,get,0\n"})
	var rec Record
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(&rec); err != nil {
			b.Fatal(err)
		}
	}
}
