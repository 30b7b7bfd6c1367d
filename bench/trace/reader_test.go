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

// all reads a trace to its end. What is no request is reported as "line N".
func all(r *Reader) (records []Record, problems []string, err error) {
	for {
		var rec Record
		err := r.Read(&rec)
		var bad BadRecord
		switch {
		case errors.Is(err, io.EOF):
			return records, problems, nil
		case errors.As(err, &bad):
			problems = append(problems, string(bad))
		case err != nil:
			return records, problems, err
		default:
			rec.Key = bytes.Clone(rec.Key)
			records = append(records, rec)
		}
	}
}

func same(a, b Record) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

func readerOf(t *testing.T, text string) *Reader {
	t.Helper()
	r, err := NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readFile(t *testing.T, path string) (records []Record, problems []string, err error) {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return all(f.Reader)
}

// keyed makes a record as readers of formats without clients do.
func keyed(time int64, key string, keySize, size int, op Op, ttl, count int64) Record {
	return Record{Time: time, Key: []byte(key), KeySize: keySize, ValueSize: size, Client: clientOf([]byte(key)), Op: op, TTL: ttl, Count: count}
}

// samples are small traces in each format, made by hand.
var samples = []struct {
	file   string
	format Format
	timed  bool
	want   []Record
}{
	{"twitter.csv", Twitter, true, []Record{
		{Key: []byte("nz:u:AAaaBBbbCC"), KeySize: 26, ValueSize: 512, Client: 17, Op: Get, Count: 1},
		{Key: []byte("nz:u:with,a,comma"), KeySize: 14, Client: 17, Op: Get, Count: 1},
		{Key: []byte("nz:u:with,a,comma"), KeySize: 14, ValueSize: 96, Client: 17, Op: Set, TTL: 3600, Count: 1},
		{Time: 1, Key: []byte("qq:n:1"), KeySize: 5, ValueSize: 3, Client: 4, Op: Incr, Count: 1},
		{Time: 0, Key: []byte("nz:u:AAaaBBbbCC"), KeySize: 26, ValueSize: 512, Client: 2, Op: Gets, Count: 1},
		{Time: 2, Key: []byte("nz:u:AAaaBBbbCC"), KeySize: 26, Client: 2, Op: Delete, Count: 1},
	}},
	{"meta-202206.csv", Meta, false, []Record{
		keyed(0, "1700000001", 40, 82, Set, 0, 1), keyed(0, "1700000001", 40, 0, Get, 0, 3),
		keyed(0, "1700000002", 64, 104, Get, 0, 2), keyed(0, "1700000002", 64, 0, Delete, 0, 1),
	}},
	{"meta-202401.csv", Meta, true, []Record{
		keyed(604038000, "82131353aaaabbbb", 48, 87, Get, 0, 1), keyed(604038000, "a54f88abccccdddd", 24, 0, Get, 0, 3),
		keyed(604038001, "a54f88abccccdddd", 24, 65, Set, 7200, 1), keyed(604038001, "82131353aaaabbbb", 48, 0, Delete, 0, 1),
	}},
	{"plain.csv", Plain, true, []Record{
		keyed(0, "17", 2, 100, Get, 0, 1), keyed(0, "img/a.png", 9, 4096, Get, 0, 1), keyed(2, "17", 2, 100, Get, 0, 1), keyed(1, "3", 1, 7, Get, 0, 1),
	}},
	{"sample.oracleGeneral.bin", OracleGeneral, true, oracleSample},
	{"sample.oracleGeneral.bin.zst", OracleGeneral, true, oracleSample}, // by pzstd, which begins with a frame to be skipped
}

var oracleSample = []Record{
	keyed(5, "17", 2, 100, Get, 0, 1), keyed(5, "18446744073709551615", 20, 4096, Get, 0, 1), keyed(7, "17", 2, 100, Get, 0, 1),
	keyed(6, "3", 1, 0, Get, 0, 1), keyed(9, "17", 2, 100, Get, 0, 1),
}

func TestSamplesAreRead(t *testing.T) {
	for _, s := range samples {
		f, err := Open(filepath.Join("testdata", s.file))
		if err != nil {
			t.Fatal(err)
		}
		records, problems, err := all(f.Reader)
		if err != nil || len(problems) > 0 || !slices.EqualFunc(records, s.want, same) || f.Format() != s.format || f.Timed() != s.timed {
			t.Errorf("%s: %v, timed %v\n%+v\nwant %+v\n%q, %v", s.file, f.Format(), f.Timed(), records, s.want, problems, err)
		}
		_ = f.Close()
	}
}

// TestFormatsAreFoundByLooking: whatever the columns are called, in whatever order, and whether the file begins
// within a line.
func TestFormatsAreFoundByLooking(t *testing.T) {
	for text, want := range map[string]Record{
		"timestamp,obj_id,obj_size\n5,17,100\n":                                         keyed(5, "17", 2, 100, Get, 0, 1),
		"\ufeffsize,key\r\n100,17\r\n":                                                  keyed(0, "17", 2, 100, Get, 0, 1),
		"key,op,size,op_count,key_size,ttl\n17,GET,9,1,79,\n":                           keyed(0, "17", 79, 9, Get, 0, 1),
		"key,op,size,op_count,key_size,ttl\n17,GET,9,1\n":                               keyed(0, "17", 2, 9, Get, 0, 1),
		"17,SET,9,65536,79\n":                                                           keyed(0, "17", 79, 9, Set, 0, 65536), // of a file that was split
		"604038000,82131353,48,GET,2,87,1,0,366,300\n":                                  keyed(604038000, "82131353", 48, 87, Get, 0, 2),
		"timestamp,key,key_size,value_size,client_id,operation,ttl\n1,a,3,9,7,set,60\n": {Time: 1, Key: []byte("a"), KeySize: 3, ValueSize: 9, Client: 7, Op: Set, TTL: 60, Count: 1},
		"5 17 100\n":    keyed(5, "17", 2, 100, Get, 0, 1),
		"5\t17\t100":    keyed(5, "17", 2, 100, Get, 0, 1),
		"5,17,100,-1\n": keyed(5, "17", 2, 100, Get, 0, 1), // as libCacheSim prints OracleGeneral
		"\x0a\x00\x00\x00\x11\x00\x00\x00\x00\x00\x00\x00\x64\x00\x00\x00" + "\xff\xff\xff\xff\xff\xff\xff\xff": keyed(10, "17", 2, 100, Get, 0, 1),
		"bbCC,26,512,17,get,0\n1,a,3,9,7,get,0\n": {Time: 1, Key: []byte("a"), KeySize: 3, ValueSize: 9, Client: 7, Count: 1},
	} {
		r := readerOf(t, text)
		r.SkipBad = true
		if records, _, err := all(r); err != nil || len(records) != 1 || !same(records[0], want) {
			t.Errorf("%.60q: %+v, want %+v, %v", text, records, want, err)
		}
	}
}

func TestWhatIsNoTraceIsRefused(t *testing.T) {
	for _, text := range []string{
		"x", "a,b,c\nd,e,f\n", "timestamp,cacheKey,OpType,objectSize\n1,2,3,4,5\n", "0,a,10,10,1,fetch,0\n", strings.Repeat("\x00", 240), "\x7fELF" + strings.Repeat("\x01\x02\xee", 1000),
		strings.Repeat("no newline anywhere ", 20_000), "{\"time\": 1}\n",
	} {
		_, err := NewReader(strings.NewReader(text))
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v", text, err)
			continue
		}
		for _, want := range []string{"time,key,size (plain)", "(twitter)", "op and size (meta)", "24 bytes (oracleGeneral)", "line 1 is " + fmt.Sprintf("%.1q", text)[:2]} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.40q: no %s in %v", text, want, err)
			}
		}
	}
	for _, program := range []string{os.Args[0], "/bin/sh", "/proc/self/exe"} { // whose numbers are small, too
		if _, err := Open(program); err == nil || !strings.Contains(err.Error(), "no trace: line 1 is ") {
			t.Errorf("%s: %v", program, err)
		}
	}
	if records, _, err := all(readerOf(t, "")); err != nil || len(records) > 0 {
		t.Errorf("%v, %v", records, err)
	}
}

func TestBadRecordsAreToldAndSkipped(t *testing.T) {
	twitter := strings.Join([]string{
		"0,key,3,10,1,get,0", "", "0,key,3,10,1,get", "x,key,3,10,1,get,0", "0,key,three,10,1,get,0", "0,key,3,-1,1,get,0", "0,key,3,4294967296,1,get,0",
		"0,key,3,10,,get,0", "0,key,3,10,18446744073709551616,get,0", "0,key,3,10,1,fetch,0", "0,key,3,10,1,get,1.5", "0,,3,10,1,get,0",
		"0," + strings.Repeat("k", 300<<10) + ",3,10,1,get,0", "1,key,3,10,1,set,0",
	}, "\n")
	oracle, err := os.ReadFile("testdata/sample.oracleGeneral.bin")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(oracle)
	damaged[2*recordSize+22] = 0x55
	clear(damaged[3*recordSize : 4*recordSize])
	for _, c := range []struct {
		text     string
		records  int
		problems []string
	}{
		{twitter, 2, []string{
			"line 2: 1 fields where 7", "line 3: 6 fields where 7", "line 4: the time", "line 5: the key size", "line 6: the value size",
			"line 7: the value size is no number up to 4294967295", "line 8: the client", "line 9: the client", "line 10: unknown operation", "line 11: the TTL",
			"line 12: no key", "line 13: longer than",
		}},
		{"key,op,size,op_count\n1,GET,5,1\n1,GET,,1\n1,SAT,5,1\n1,GET,5,0\n1,GET,5,2\n1,GE", 2, []string{
			"line 3: the value size", "line 4: unknown operation", "line 5: no operations", "line 7: 2 fields where 3",
		}},
		{"key,op,size\n1,GET,5\nkey,op,size\n2,GET,5\nop_time,key,size,op\n9,3,5,GET\n9,4,5", 3, []string{"line 7: 3 fields where 4"}}, // of several files
		{"0,a,5\n0,a,b,c,5\n", 1, []string{"line 2: 5 fields where 3"}},
		{strings.Repeat(string(oracle), 2) + string(damaged) + string(oracle[:7]), 13, []string{
			"record 13: a next access of", "record 14: 24 bytes of zero", "record 16: cut off after 7 bytes of 24",
		}},
	} {
		records, problems, err := all(readerOf(t, c.text))
		if err != nil || len(records) != c.records || !slices.EqualFunc(problems, c.problems, strings.HasPrefix) {
			t.Errorf("%.30q: %d records, %q, want %q; %v", c.text, len(records), problems, c.problems, err)
		}
		r := readerOf(t, c.text)
		r.SkipBad = true
		records, none, err := all(r)
		if err != nil || len(none) > 0 || len(records) != c.records || r.Bad != int64(len(problems)) || !strings.HasPrefix(r.FirstBad, problems[0]) {
			t.Errorf("%.30q: skipped %d, the first of which %s; %d records, %q, %v", c.text, r.Bad, r.FirstBad, len(records), none, err)
		}
	}
}

func TestRateGivesTimes(t *testing.T) {
	for text, want := range map[string][]int64{"1,GET,5,3,1\n1,GET,5,1,1\n2,GET,5,1,1\n": {0, 1, 2}, "7,1,9\n7,1,9\n7,1,9": {7, 7, 7}} {
		r := readerOf(t, text)
		r.Rate = 2
		records, _, _ := all(r)
		for i, rec := range records {
			if rec.Time != want[i] {
				t.Errorf("%q: record %d is at %d s, want %v", text, i, rec.Time, want)
			}
		}
	}
}

// TestReaderTakesWhatComes: the writer of a pipe may wait after any byte, and the format is found as soon as what is
// there tells it.
func TestReaderTakesWhatComes(t *testing.T) {
	for _, s := range samples[:5] {
		text, err := os.ReadFile(filepath.Join("testdata", s.file))
		if err != nil {
			t.Fatal(err)
		}
		for step := range len(text) {
			in, out := io.Pipe()
			go func() {
				for rest := text; len(rest) > 0; {
					n := min(step+1, len(rest))
					_, _ = out.Write(rest[:n])
					rest = rest[n:]
				}
				_ = out.Close()
			}()
			r, err := NewReader(in)
			if err != nil {
				t.Fatalf("%s in steps of %d: %v", s.file, step+1, err)
			}
			if records, _, err := all(r); err != nil || !slices.EqualFunc(records, s.want, same) {
				t.Fatalf("%s in steps of %d: %+v, %v", s.file, step+1, records, err)
			}
		}
	}
	in, out := io.Pipe() // which stays open
	go func() { _, _ = out.Write([]byte("0,a,10,10,1,get,0\n")) }()
	r, err := NewReader(in)
	var rec Record
	if err == nil {
		err = r.Read(&rec)
	}
	if err != nil || string(rec.Key) != "a" {
		t.Errorf("%+v, %v", rec, err)
	}
	in.Close()
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for name, text := range map[string]string{"gzip": "\x1f\x8b\x09\x09", "zstd": "\x28\xb5\x2f\xfd\xff\xff\xff", "lz4": "\x04\x22\x4d\x18", "short": "\x28\xb5"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzReader: whatever the bytes, every line and record is a request or malformed, and what was read can be written
// and read back.
func FuzzReader(f *testing.F) {
	for _, s := range samples {
		text, err := os.ReadFile(filepath.Join("testdata", s.file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("7,a,b,1,0,5,cas,99\r\n\n,,,,,,\n1,k,1,1,1,incr,0"))
	f.Add([]byte("5 17 100\n5 18 100 9"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := NewReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		records, problems, err := all(r)
		if err != nil {
			t.Fatal(err)
		}
		units := (len(text) + recordSize - 1) / recordSize
		if r.Format() != OracleGeneral {
			units = 0
			for line := range bytes.Lines(text) {
				if units++; headerLayout(bytes.TrimSpace(line)) != nil {
					units-- // it may be one, or a request in a file without a header
				}
			}
		}
		if got := len(records) + len(problems); got < units || r.number < int64(got) {
			t.Fatalf("%d records and %d malformed of %d", len(records), len(problems), units)
		}
		for i := range records {
			records[i].Count = min(records[i].Count, 3)
		}
		for format := range Format(len(formats)) {
			roundTrip(t, records, format)
		}
	})
}

// roundTrip writes records and reads them back: they are what the format can say of them.
func roundTrip(t *testing.T, records []Record, format Format) {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, format)
	var want []Record
	for i := range records {
		r := records[i]
		if format == OracleGeneral {
			r.Time %= 10 // or the binary number may look like a text
		}
		left := w.LeftOut
		if err := w.Write(&r); err != nil {
			t.Fatal(err)
		}
		if w.LeftOut == left {
			want = append(want, slices.Repeat([]Record{r}, int(r.Count))...)
		}
	}
	_ = w.Flush()
	file := out.Bytes()
	if format == OracleGeneral {
		file = linked(t, file, 3)
	}
	back, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("%v: %v\n%.300q", format, err, file)
	}
	got, problems, err := all(back)
	var flat []Record
	for _, r := range got {
		flat = append(flat, slices.Repeat([]Record{r}, int(r.Count))...)
	}
	if err != nil || len(problems) > 0 || len(flat) != len(want) || len(want) > 0 && back.Format() != format {
		t.Fatalf("%v is read as %v: %d records of %d, %q, %v\n%.300q", format, back.Format(), len(flat), len(want), problems, err, file)
	}
	for i := range flat {
		a, b := &flat[i], &want[i]
		ok := a.Time == b.Time && a.ValueSize == b.ValueSize
		switch format {
		case Twitter:
			ok = ok && a.KeySize == b.KeySize && a.Client == b.Client && a.Op == b.Op && a.TTL == b.TTL
		case Meta:
			ok = ok && a.KeySize == b.KeySize && a.Op.Reads() == b.Op.Reads() && a.Op.Stores() == b.Op.Stores() && a.TTL == b.TTL
		}
		if !ok || format == Twitter && appendKeyText(Twitter, string(b.Key)) == string(b.Key) && !bytes.Equal(a.Key, b.Key) {
			t.Fatalf("%v: %+v, was %+v", format, a, b)
		}
	}
}

// linked returns what link makes of records.
func linked(t *testing.T, records []byte, limit int) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out bytes.Buffer
	_, err = f.Write(records)
	if err := errors.Join(err, link(f, &out, limit)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], e.text[e.at:])
		n += m
		e.at = (e.at + m) % len(e.text)
	}
	return n, nil
}

func TestReaderAndWriterDoNotAllocate(t *testing.T) {
	for _, s := range samples[:5] {
		text, err := os.ReadFile(filepath.Join("testdata", s.file))
		if err != nil {
			t.Fatal(err)
		}
		header := ""
		if s.format == Meta {
			line, rest, _ := strings.Cut(string(text), "\n")
			header, text = line+"\n", []byte(rest)
		}
		r, err := NewReader(io.MultiReader(strings.NewReader(header), &endless{text: string(text)}))
		if err != nil {
			t.Fatal(err)
		}
		for format := range Format(len(formats)) {
			w := NewWriter(io.Discard, format)
			var rec Record
			if n := testing.AllocsPerRun(1000, func() {
				if err := errors.Join(r.Read(&rec), w.Write(&rec)); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s, written as %v: %v allocations per record, want 0", s.file, format, n)
			}
		}
	}
}

func BenchmarkReader(b *testing.B) {
	r, err := NewReader(&endless{text: "12345,yDqF:3q:1AJrrJ1nnCJKKrnGx1A,27,27,5,get,0\n"})
	if err != nil {
		b.Fatal(err)
	}
	var rec Record
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Read(&rec); err != nil {
			b.Fatal(err)
		}
	}
}
